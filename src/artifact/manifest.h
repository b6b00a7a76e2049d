// What we know about a snapshot, kept beside it as <snapshot dir>/../.metadata/<file name>: one flat JSON object of strings,
// which RKE2 reads as snapshot metadata. docs/formats/manifest.md lists the fields.
//
// It is written right after the snapshot got its name. A snapshot without a manifest is foreign or was interrupted in that
// moment: still listed, verified and restored. Fields we do not know are kept, so that other programs' metadata survive.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "stream/compression.h"

namespace holdfast {

// How far a snapshot is proven.
enum class Proof {
  kNone,
  kDigest,  // the digest etcd sent was recomputed and agrees
};

struct Manifest {
  std::string base;  // "etcd-snapshot", "on-demand", ...
  std::string node;
  absl::Time created_at;  // to the second
  Compression compression = Compression::kNone;
  std::uint64_t file_bytes = 0;      // as stored
  std::uint64_t snapshot_bytes = 0;  // uncompressed, digest included
  // Hex, of the plain payload; of etcd's without the digest at its end: what that digest says.
  std::string sha256;
  std::optional<std::int64_t> revision;
  std::optional<std::int64_t> compact_revision;  // 0: never compacted
  std::optional<std::uint64_t> live_keys;        // of a kine table
  std::string content_hash;                      // of a kine table (docs/formats/content-hash.md)
  std::string datastore = "etcd";                // the kind: ops/datastores.h
  std::string datastore_version;                 // of its server
  std::string cluster_id, member_id;             // of etcd; hex, as it prints them
  std::string token_hash;                        // which token opens the bootstrap data inside
  // Of a server beside another's datastore, which has no place there: its bootstrap data, sealed with its token; base64.
  std::string bootstrap;
  Proof proof = Proof::kNone;
  // Only in the directory: a copy of the snapshot shall be in S3 and is not there (yet), because of this.
  std::string upload_owed;
  std::map<std::string, std::string> other;  // fields that are not ours

  // All fields, ours and others: what `ls -o json` shows as metadata.
  std::map<std::string, std::string> Fields() const;
  std::string Encode() const;
  // kDataLoss if it is no flat JSON object of strings, or one of our fields is not what it should be.
  static StatusOr<Manifest> Decode(std::string_view text);
  // True if we wrote it: it has our fields.
  bool ours() const { return !base.empty(); }
};

}  // namespace holdfast
