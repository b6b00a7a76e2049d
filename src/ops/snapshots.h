// What a person or a schedule can ask for about the snapshots of one directory: save, list, prune, delete. The command line
// (with the server down), the server's API and its schedule all come here, so that they do the same.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "capture/capture_snapshot.h"
#include "catalog/retention.h"
#include "etcd/client.h"
#include "os/file_system.h"
#include "protocol/snapshot_api.h"

namespace holdfast {

// A directory of snapshots and whose they are.
struct SnapshotPlace {
  FileSystem& fs;
  std::string directory;
  bool make_if_missing = false;  // the default directory is made, another one must be there
  std::string node;
};

struct SaveRequest {
  std::string base;
  Compression compression = Compression::kNone;
  std::string token_hash;
  std::stop_token stop;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

// One save at a time in this process: kAborted "snapshot save already in progress" for the second one.
// kFailedPrecondition: this member is a learner, or a directory that must be there is not.
// Success means that the snapshot is durable and its digest verified; a manifest that could not be written is a warning in
// the log. Logs start and result.
StatusOr<CapturedSnapshot> SaveSnapshot(const SnapshotPlace& place, etcd::Client& client,
                                        Clock& clock, Mutex& one_at_a_time,
                                        const SaveRequest& request);

StatusOr<std::vector<SnapshotRecord>> ListSnapshots(const SnapshotPlace& place);

// Removes what the rule says; stops at the first error, which is returned beside what was deleted until then.
struct PruneReport {
  std::vector<std::string> deleted;
  std::size_t considered = 0;  // snapshots that the rule counted
  Status status;
};
PruneReport PruneSnapshots(const SnapshotPlace& place, const std::string& base, std::int64_t keep);

struct DeleteReport {
  std::vector<std::string> deleted, not_found;
  Status status;  // the first error; the rest was still tried
};
// kInvalidArgument for a name that leaves the directory: nothing is deleted then.
DeleteReport DeleteSnapshots(const SnapshotPlace& place, const std::vector<std::string>& names);

// Removes what killed runs of this node left half-written (the directory may be shared with other nodes, which are at work).
// Only when nothing is being saved.
Status CleanSnapshotPlace(const SnapshotPlace& place);

}  // namespace holdfast
