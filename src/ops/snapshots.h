// What a person or a schedule can ask for about the snapshots of one directory and their copies in S3: save, list, prune,
// delete. The command line (with the server down), the server's API and its schedule all come here, so that they do the
// same. How a snapshot gets to S3: ops/upload.h.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "capture/capture_snapshot.h"
#include "catalog/retention.h"
#include "ops/s3.h"
#include "os/file_system.h"
#include "protocol/snapshot_api.h"

namespace holdfast {

// A directory of snapshots, whose they are, and the bucket with their copies.
struct SnapshotPlace {
  FileSystem& fs;
  std::string directory;
  bool make_if_missing = false;  // the default directory is made, another one must be there
  std::string node;
  // The hash of the cluster's CA, as in its token: the same after a restore on another host, and no other cluster's. Empty
  // if no server has been here yet.
  std::string cluster_id = {};
  const S3Folder* s3 = nullptr;  // null: S3 is off
};

// OK if the directory is there; it is made if that is ours to do.
Status PrepareDirectory(const SnapshotPlace& place);

struct SaveRequest {
  std::string base;
  Compression compression = Compression::kNone;
  std::string token_hash;
  std::string bootstrap = {};  // for the manifest
  std::string upload_owed =
      {};  // not empty: it shall be in S3 as well, and is not yet because of this
  std::function<void(const std::string& name)> on_named = {};  // before it exists
  std::stop_token stop = {};
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
};

// One save at a time in this process: kAborted "snapshot save already in progress" for the second one.
// kFailedPrecondition: the datastore cannot be saved as it is (a learner), or a directory that must be there is not.
// Success means that the snapshot is durable in the directory and was examined; a manifest that could not be written
// is a warning in the log. Logs start and result.
StatusOr<CapturedSnapshot> SaveSnapshot(const SnapshotPlace& place, Datastore& datastore,
                                        Clock& clock, Mutex& one_at_a_time,
                                        const SaveRequest& request);

// Oldest first; a copy in S3 is a row of its own. With an error of S3 the rows of the directory are there all the same.
struct SnapshotList {
  std::vector<SnapshotRecord> records;
  Status s3_status;
};
StatusOr<SnapshotList> ListSnapshots(const SnapshotPlace& place);

struct SnapshotSummary {
  std::size_t count = 0;
  absl::Time newest = absl::InfinitePast();  // of those we made; none that is ahead of time
  std::uint64_t newest_bytes = 0;
  std::size_t owed = 0;  // to S3
};
StatusOr<SnapshotSummary> SummarizeDirectory(const SnapshotPlace& place, absl::Time now);
// What this node of this cluster has there.
StatusOr<SnapshotSummary> SummarizeS3(const SnapshotPlace& place, absl::Time now);

struct PruneReport {
  std::vector<std::string> deleted;
  std::vector<SnapshotResult::Considered> considered;
  Status status;  // the first error
};
// The directory: removes what the rule says; stops at the first error.
PruneReport PruneDirectory(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                           absl::Time now);
// The copies of this node of this cluster (RetentionRule). One that cannot be removed (a policy, an object lock) does not
// keep the others.
PruneReport PruneS3(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                    absl::Time now);
// What PruneS3 goes by.
RetentionRule S3Rule(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                     absl::Time now);

struct DeleteReport {
  std::vector<std::string> deleted;    // twice if in the directory and in S3
  std::vector<std::string> not_found;  // neither here nor there
  Status status;                       // the first error; the rest was still tried
};
// kInvalidArgument for a name that leaves the directory: nothing is deleted then. A copy in S3 that belongs to another
// cluster stays (kFailedPrecondition), and the snapshot of that name in the directory, ours, is deleted all the same.
DeleteReport DeleteSnapshots(const SnapshotPlace& place, const std::vector<std::string>& names);

// Removes what killed runs of this node left half-written (the directory may be shared with other nodes, which are at work).
// Only when nothing is being saved.
Status CleanSnapshotPlace(const SnapshotPlace& place);

}  // namespace holdfast
