// Everything a running server does about snapshots: for callers of the API, by the schedule, and by itself (reconcile).
//
//   a person asks     save in the directory --> upload at once, with progress --> S3 retention, if one was given
//   the schedule      save in the directory --> its retention --> wake the reconciler, which uploads
//   the reconciler    what killed runs left is cleaned --> what is owed to S3 is uploaded --> S3 retention --> gauges
//
// So the schedule never waits for S3, and what fails there is tried again with every reconcile. Where a snapshot becomes
// durable: capture/capture_snapshot.h in the directory, ops/upload.h in S3.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <stop_token>
#include <string>

#include "api/metrics.h"
#include "api/routes.h"
#include "config/server_options.h"
#include "ops/snapshots.h"
#include "ops/upload.h"
#include "server/snapshot_jobs.h"

namespace holdfast {

struct SnapshotServiceContext {
  FileSystem& fs;
  Clock& clock;
  Random& random;
  Metrics& metrics;
  const SnapshotOptions& options;
  S3Opener open_s3;
  std::string node, cluster_id;
  std::function<std::string()> token_hash;  // of the token that opens what is saved now
  std::function<std::string()> bootstrap =
      {};  // sealed, for manifests; none: it is in the datastore
  std::function<StatusOr<std::unique_ptr<Datastore>>()> datastore;
  std::stop_token stop;    // of the server
  bool reconciles = true;  // StartJobs() is called; false: nobody uploads what one save owes
};

// Thread-safe.
class SnapshotService {
 public:
  // What `context` refers to must outlive this.
  explicit SnapshotService(SnapshotServiceContext context) : context_(std::move(context)) {}

  // Starts schedule and reconciler; they end with this object.
  void StartJobs();

  // With S3, a result means that both copies are there. If the upload fails the snapshot stays in the directory, and the
  // error says so.
  StatusOr<SnapshotResult> Save(const SnapshotRequest& request,
                                const std::function<void(const Progress&)>& on_progress);
  StatusOr<SnapshotResult> Prune(const SnapshotRequest& request);
  StatusOr<SnapshotResult> Delete(const SnapshotRequest& request);
  StatusOr<std::vector<SnapshotRecord>> List(const SnapshotRequest& request);
  // When the newest good one of the directory was taken, as of the last look; nullopt: there is none.
  std::optional<absl::Time> last_snapshot() const;

  // One run of each job; StartJobs() calls them.
  void TakeScheduled(std::stop_token stop);
  void Reconcile(std::stop_token stop);

 private:
  struct Saved {
    CapturedSnapshot snapshot;
    std::unique_ptr<UploadsInFlight::Claim> claim;  // nobody else uploads it while we have this
  };
  // The settings of S3 that hold for a request; nullopt: none.
  std::optional<S3Options> S3For(const SnapshotRequest& request) const;
  bool IsOwnS3(const S3Options& s3) const;
  SnapshotPlace DefaultPlace() const;
  SnapshotPlace PlaceOf(const SnapshotRequest& request) const;
  StatusOr<Compression> CompressionOf(const SnapshotRequest& request) const;
  StatusOr<Saved> SaveInDirectory(const SnapshotPlace& place, SaveRequest request);
  Status Upload(const SnapshotPlace& place, const Saved& saved,
                const std::function<void(const Progress&)>& on_progress);
  Status ReconcileS3(std::stop_token stop);
  void PruneScheduledS3(const SnapshotPlace& place);
  void UpdateGauges();
  Status LookAtDirectory();

  const SnapshotServiceContext context_;
  Mutex one_save_;
  // Shared by saves; alone while leftovers are removed: a save waits for that, it is not refused.
  std::shared_mutex cleaning_;
  UploadsInFlight uploads_;
  std::atomic<std::int64_t> last_snapshot_ = 0;  // unix; 0: none
  // Last: their threads use all the others.
  std::optional<Reconciler> reconciler_;
  std::optional<SnapshotSchedule> schedule_;
};

}  // namespace holdfast
