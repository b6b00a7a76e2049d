// Takes one snapshot of a living datastore into a store, in one pass and with little memory:
//
//   datastore --stream--+--> examiner: is it whole, what is in it
//                       +--> [zip | zstd] --> store, under a name that nothing reads
//
// Only when the stream ended well and the examiner is content does the object get its name (that makes the snapshot real),
// and then its manifest. A crash before that leaves an unfinished object; between the two a snapshot without manifest.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "artifact/manifest.h"
#include "datastore/datastore.h"
#include "store/object_store.h"

namespace holdfast {

struct CaptureOptions {
  std::string base;  // checked by CheckBaseName
  std::string node;
  absl::Time now;  // for the name; rounded to the nearest second, and on to the next free one
  Compression compression = Compression::kNone;
  // For the manifest.
  std::string token_hash;
  std::string bootstrap = {};
  std::string upload_owed;
  // Called with the name before anything has it.
  std::function<void(const std::string& name)> on_named = {};
  std::string scratch_directory;
  absl::Duration stall_timeout = absl::Seconds(60);
  std::stop_token stop;
  // Bytes received of the total, which may be an estimate, or 0 where nobody knows; called often.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

struct CapturedSnapshot {
  std::string name;
  Manifest manifest;
  Status
      manifest_status;  // not OK: the snapshot is there and good, its manifest could not be written
};

// kDataLoss: what came is not whole, nothing was stored. kResourceExhausted: no space. Others as the datastore and the
// store.
StatusOr<CapturedSnapshot> CaptureSnapshot(Datastore& datastore, ObjectStore& store,
                                           const CaptureOptions& options);

}  // namespace holdfast
