// The copies of snapshots in S3: made right after a save, or later, while one is owed.
//
// A snapshot that shall be in S3 says so in its manifest from the first moment (Manifest::upload_owed), and until it is
// there. So nothing is forgotten, whatever dies in between: the server's reconcile uploads what is owed.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "catalog/retention.h"
#include "ops/snapshots.h"

namespace holdfast {

// Which snapshots this process is uploading: nobody uploads one twice at once, or takes it for what a dead run left.
// Must outlive its claims. Thread-safe.
class UploadsInFlight {
 public:
  class Claim {
   public:
    Claim(UploadsInFlight& owner, std::string name) : owner_(&owner), name_(std::move(name)) {}
    ~Claim() { owner_->Release(name_); }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    UploadsInFlight* owner_;
    std::string name_;
  };
  // Null if somebody has it.
  std::unique_ptr<Claim> TryClaim(const std::string& name);
  bool Has(const std::string& name) const;

 private:
  void Release(const std::string& name);

  mutable Mutex mutex_;
  std::set<std::string> names_ HF_GUARDED_BY(mutex_);
};

struct UploadRequest {
  std::string name;
  Manifest manifest;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

// Copies a snapshot of the directory into place.s3, which must be open: the bytes, then the manifest. They are compared with
// the manifest on the way (the digest of a plain one, the size of all): one damaged on the disk is not uploaded. If the
// whole snapshot is there already, that is success. Then notes in the directory's manifest that nothing is owed any
// more, or why it still is.
// The snapshot in the directory stays as it is, whatever happens. Logs the result.
Status UploadSnapshot(const SnapshotPlace& place, const UploadRequest& request);

// One that was owed, and how it went.
struct OwedUpload {
  std::string name;
  Status status;
  absl::Duration took;
};
// Uploads what this node owes, the newest first; one that fails does not keep the others. What `rule` would remove from the
// bucket at once is not owed any more. An error: it is not known what is owed.
StatusOr<std::vector<OwedUpload>> UploadOwed(const SnapshotPlace& place, const RetentionRule& rule,
                                             UploadsInFlight& in_flight, Clock& clock,
                                             std::stop_token stop);

// Ends uploads that killed runs left unfinished: those of snapshots in the directory that this node saved; and, begun more
// than a day ago, of all others in the directory (it may be shared) and those named for this node (another cluster may have
// a node of our name). What these are uploading is not ours to end.
Status RemoveUnfinishedUploads(const SnapshotPlace& place, const UploadsInFlight& in_flight,
                               absl::Time now);

}  // namespace holdfast
