#include "ops/restore.h"

#include <algorithm>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "formats/member/membership.h"
#include "restore/build_data_dir.h"

namespace holdfast {
namespace {

// The member that is restored here; its URLs must be those that it advertises.
StatusOr<std::uint64_t> FindSelf(const Membership& membership, const RestoreRequest& request) {
  for (const Member& member : membership.members) {
    if (member.name != request.name) continue;
    std::vector<std::string> advertised = Split(request.advertise_peer_urls, ',');
    for (const std::string& url : advertised)
      RETURN_IF_ERROR(CheckPeerUrl(url), "initial-advertise-peer-urls");
    std::sort(advertised.begin(), advertised.end());
    if (advertised != member.peer_urls) {
      return InvalidArgumentError(
          "--initial-cluster has {}={} but --initial-advertise-peer-urls is {}", member.name,
          Join(member.peer_urls, ","), request.advertise_peer_urls);
    }
    return member.id;
  }
  return InvalidArgumentError(
      "couldn't find local name \"{}\" in the initial cluster configuration \"{}\"", request.name,
      request.initial_cluster);
}

Status CheckEmpty(FileSystem& fs, const std::string& directory) {
  const auto entries = fs.List(directory);
  if (absl::IsNotFound(entries.status())) return OkStatus();
  RETURN_IF_ERROR(entries.status(), "data-dir");
  if (entries->empty()) return OkStatus();
  return WithHint(AlreadyExistsError("data-dir {} is not empty", directory),
                  "Nothing was changed. Give a directory that is not there yet.");
}

// Makes the directory if it is not there, and removes it again unless kept.
class TargetDirectory {
 public:
  TargetDirectory(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~TargetDirectory() {
    // best effort: an empty directory harms nobody
    if (made_) (void)fs_.RemoveEmptyDirectory(path_);
  }
  TargetDirectory(const TargetDirectory&) = delete;
  TargetDirectory& operator=(const TargetDirectory&) = delete;

  Status Make() {
    ASSIGN_OR_RETURN(const bool exists, Exists(fs_, path_));
    if (exists) return fs_.SetMode(path_, 0700);
    RETURN_IF_ERROR(MakeDirectories(fs_, DirName(path_), 0755));
    RETURN_IF_ERROR(fs_.MakeDirectory(path_, 0700));
    made_ = true;
    return OkStatus();
  }
  void Keep() { made_ = false; }

 private:
  FileSystem& fs_;
  std::string path_;
  bool made_ = false;
};

}  // namespace

StatusOr<mvcc::Inspection> RestoreToDataDir(FileSystem& fs, const OpenedSnapshot& snapshot,
                                            const RestoreRequest& request) {
  ASSIGN_OR_RETURN(Membership membership,
                   ParseInitialCluster(request.initial_cluster, request.initial_cluster_token));
  ASSIGN_OR_RETURN(const std::uint64_t self, FindSelf(membership, request));
  RETURN_IF_ERROR(CheckEmpty(fs, request.data_dir));
  ASSIGN_OR_RETURN(const SnapshotSize size, MeasureSnapshot(*snapshot.bytes));

  TargetDirectory target(fs, request.data_dir);
  RETURN_IF_ERROR(target.Make());
  RETURN_IF_ERROR(CheckSpace(fs, request.data_dir, SpaceFor(size)));
  BuildOptions build{.data_dir = request.data_dir,
                     .wal_dir = request.wal_dir,
                     .membership = std::move(membership),
                     .node = self,
                     .skip_hash_check = request.skip_hash_check,
                     .expected_sha256 = snapshot.expected_sha256,
                     .bump_revision = request.bump_revision,
                     .mark_compacted = request.mark_compacted,
                     .clear_alarms = request.clear_alarms,
                     .stop = request.stop};
  if (request.on_progress)
    build.on_progress = [&](std::uint64_t done) { request.on_progress(done, size.snapshot_bytes); };
  ASSIGN_OR_RETURN(const mvcc::Inspection found, BuildDataDir(fs, *snapshot.bytes, build));
  target.Keep();
  RETURN_IF_ERROR(fs.SyncDirectory(DirName(request.data_dir)));
  if (found.alarms > 0 && !request.clear_alarms) {
    LogWarn(
        "the snapshot was taken with an alarm raised; a NOSPACE alarm keeps the restored cluster "
        "read-only until it is disarmed "
        "(etcdctl alarm disarm), or restore with --clear-alarms");
  }
  return found;
}

}  // namespace holdfast
