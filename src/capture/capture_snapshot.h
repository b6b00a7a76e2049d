// Takes one snapshot of a living etcd into a store, in one pass and with little memory:
//
//   etcd --gRPC--> stream --+--> digest recomputed, and compared with the one etcd sends at the end
//                           +--> revision learnt from the pages that pass by
//                           +--> [zip | zstd] --> store, under a name that nothing reads
//
// Only when the digest agrees does the object get its name (that makes the snapshot real), and then its manifest.
// A crash before that leaves an unfinished object; between the two a snapshot without manifest.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "artifact/manifest.h"
#include "etcd/client.h"
#include "store/object_store.h"

namespace holdfast {

struct CaptureOptions {
  std::string base;  // checked by CheckBaseName
  std::string node;
  absl::Time now;  // for the name; rounded to the nearest second, and on to the next free one
  Compression compression = Compression::kNone;
  std::string token_hash;
  std::string upload_owed;  // for the manifest
  // Called with the name before anything has it.
  std::function<void(const std::string& name)> on_named = {};
  absl::Duration stall_timeout = absl::Seconds(60);
  std::stop_token stop;
  // Bytes received of the total; called often.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

struct CapturedSnapshot {
  std::string name;
  Manifest manifest;
  Status
      manifest_status;  // not OK: the snapshot is there and good, its manifest could not be written
};

// `member` describes the member that `client` is connected to.
// kDataLoss: the stream's digest is wrong, nothing was stored. kResourceExhausted: no space. Others as the client and store.
StatusOr<CapturedSnapshot> CaptureSnapshot(etcd::Client& client, const etcd::MemberStatus& member,
                                           ObjectStore& store, const CaptureOptions& options);

}  // namespace holdfast
