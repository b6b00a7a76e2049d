// What a kine table holds, learnt from its rows in any order and with little memory (about 80 bytes for each name):
// revisions, live keys, the sealed bootstrap data, and the content hash, which is the same for the same live keys and
// values in any datastore (docs/formats/content-hash.md):
//
//   entry of a key  = SHA-256(length of the key, 8 bytes little endian; key; value)
//   content hash    = SHA-256(the entries of all live keys, sorted)
//
// Kine's own rows are no content: compact_rev_key (its prev_revision is the compact revision; Kubernetes keeps a key of
// that name in etcd, too) and gap-<revision>.
// Source: k3s-io/kine pkg/drivers/generic/generic.go, pkg/logstructured/sqllog/sql.go.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::kine {

struct Content {
  std::int64_t revision = 0, compact_revision = 0;  // 0: empty, never compacted
  std::uint64_t live_keys = 0;
  std::string content_hash;  // hex
  std::map<std::string, std::string>
      bootstrap;  // live /bootstrap/<token hash>, at most 64 of at most 1 MiB each
};

// True for the names that are kine's own.
bool IsInternalName(std::string_view name);

class ContentReader {
 public:
  ContentReader();
  ~ContentReader();

  // One row: BeginRow, its value in pieces, EndRow. Of rows with the same name the one with the highest id counts.
  void BeginRow(std::int64_t id, std::string_view name, bool deleted, std::int64_t prev_revision);
  void Value(ByteSpan piece);
  void EndRow();

  // The last call.
  Content Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::kine
