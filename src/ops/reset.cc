#include "ops/reset.h"

#include <optional>

#include "base/distribution.h"
#include "base/log.h"
#include "base/text.h"
#include "etcd/health.h"
#include "identity/bootstrap_files.h"
#include "identity/lineage.h"
#include "identity/sealed_bootstrap.h"
#include "keys/token.h"
#include "ops/reset_checks.h"
#include "os/atomic_file.h"
#include "restore/build_data_dir.h"
#include "restore/former_cluster.h"
#include "restore/swap_dir.h"

namespace holdfast {
namespace {

class Reset {
 public:
  Reset(FileSystem& fs, Clock& clock, Random& random, const ResetRequest& request)
      : fs_(fs),
        clock_(clock),
        random_(random),
        request_(request),
        layout_(request.layout),
        etcd_(request.etcd) {}

  StatusOr<ResetReport> Run() {
    RETURN_IF_ERROR(Prepare());
    Status status = restoring() ? Restore() : Renew();
    if (status.ok()) status = TakeOver();
    if (!status.ok() && touched_) status = RollBack(status);
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(WriteTokenFiles(fs_, layout_, request_.files.tokens));
    RETURN_IF_ERROR(WriteFileAtomically(fs_, layout_.reset_flag(), "", 0600));
    RETURN_IF_ERROR(swap_->Finish());
    return ResetReport{.peers = PeersBefore(request_, former_, snapshot_members_)};
  }

 private:
  bool restoring() const { return request_.snapshot.has_value(); }

  // Everything that needs no snapshot.
  Status Prepare() {
    ASSIGN_OR_RETURN(interrupted_,
                     RecoverSwap(fs_, layout_.db(), /*starting_empty_is_fine=*/restoring()));
    RETURN_IF_ERROR(CheckResetIsMeant(fs_, request_));
    if (!restoring()) RETURN_IF_ERROR(CheckPresentData());
    ASSIGN_OR_RETURN(lineage_before_, ReadFormerClusterIds(fs_, layout_, ""));
    former_ = LookAtFormerCluster(fs_, layout_);
    if (!former_.status.ok()) {
      LogWarn(
          "The data that are here do not tell which cluster they belong to ({}); other servers "
          "with data of that cluster may not be recognised",
          MessageOf(former_.status));
    }
    ASSIGN_OR_RETURN(files_before_, CollectBootstrapFiles(fs_, layout_));
    return OkStatus();
  }

  Status CheckPresentData() {
    ASSIGN_OR_RETURN(bootstrap_, ReadStoredBootstrap(fs_, layout_, request_.files.tokens.password));
    ASSIGN_OR_RETURN(const SpaceNeeded needed, SpaceForCopyOf(fs_, layout_.etcd_member()));
    return CheckSpace(fs_, layout_.db(), needed);
  }

  // --- the new directory ---

  Status Restore() {
    ASSIGN_OR_RETURN(DirectorySwap swap, BuildFromSnapshot());
    return PutInPlace(std::move(swap));
  }

  Status Renew() {
    // The etcd that runs on the copy needs certificates, and the datastore knows the right ones.
    RETURN_IF_ERROR(TakeFiles());
    ASSIGN_OR_RETURN(DirectorySwap swap, BuildFromPresentData());
    return PutInPlace(std::move(swap));
  }

  // A cluster of this node alone, with ids that nobody had before.
  StatusOr<BuildOptions> NewCluster(const DirectorySwap& swap) {
    ASSIGN_OR_RETURN(etcd_.config.name, WriteNewMemberName(fs_, JoinPath(swap.staging(), "name"),
                                                           request_.node_name, random_));
    constexpr std::size_t kTokenBytes = 16;
    ASSIGN_OR_RETURN(Membership membership,
                     ParseInitialCluster(etcd_.config.name + "=" + etcd_.config.PeerUrl(),
                                         random_.Hex(kTokenBytes)));
    const std::uint64_t self = membership.members.front().id;
    return BuildOptions{.data_dir = swap.staging(),
                        .membership = std::move(membership),
                        .node = self,
                        .bump_revision = request_.bump_revision,
                        .mark_compacted = request_.mark_compacted,
                        .clear_alarms = true,  // they name members that are no more
                        .approve = [this](const mvcc::Inspection& found) { return Approve(found); },
                        .stop = request_.stop};
  }

  // The bootstrap data of `found` open with our token, or there are none.
  Status Approve(const mvcc::Inspection& found) {
    ASSIGN_OR_RETURN(bootstrap_, OpenBootstrap(found.bootstrap, request_.files.tokens.password,
                                               restoring() ? "the snapshot" : "the datastore"));
    if (!bootstrap_ && restoring())
      LogInfo("The snapshot holds no bootstrap data; this node's own certificates stay");
    had_alarms_ = found.alarms > 0;
    expected_revision_ = found.revision + static_cast<std::int64_t>(request_.bump_revision);
    return OkStatus();
  }

  StatusOr<DirectorySwap> BuildFromSnapshot() {
    ASSIGN_OR_RETURN(const OpenedSnapshot fetched, FetchSnapshot(*request_.snapshot));
    auto swap = BuildFrom(fetched);
    // Things stay as they were: also, the next try does not meet two snapshots of one name.
    if (!swap.ok()) RemoveDownload(request_.snapshot->place, fetched);
    return swap;
  }

  StatusOr<DirectorySwap> BuildFrom(const OpenedSnapshot& snapshot) {
    const std::string& path = snapshot.bytes->path();
    ASSIGN_OR_RETURN(const SnapshotSize size, MeasureSnapshot(*snapshot.bytes));
    RETURN_IF_ERROR(CheckSpace(fs_, layout_.db(), SpaceFor(size)));
    LogInfo("Restoring {} ({})", path, FormatBytes(size.file_bytes));

    ASSIGN_OR_RETURN(DirectorySwap swap,
                     DirectorySwap::Begin(fs_, layout_.db(), clock_.Now(), path));
    ASSIGN_OR_RETURN(BuildOptions build, NewCluster(swap));
    build.expected_sha256 = snapshot.expected_sha256;
    if (request_.on_progress)
      build.on_progress = [&](std::uint64_t done) {
        request_.on_progress("Restoring", done, size.snapshot_bytes);
      };
    ASSIGN_OR_RETURN(const mvcc::Inspection found, BuildDataDir(fs_, *snapshot.bytes, build));
    snapshot_members_ = MembersFrom(found.members);
    if (snapshot.manifest) snapshot_cluster_id_ = snapshot.manifest->cluster_id;
    LogInfo("The snapshot is good: revision {}, {} entries, database of {}", found.revision,
            found.total_entries, FormatBytes(found.bytes));
    return swap;
  }

  // The data stay as they are; an etcd that runs on a copy writes what is only in its log to the database.
  StatusOr<DirectorySwap> BuildFromPresentData() {
    ASSIGN_OR_RETURN(DirectorySwap swap,
                     DirectorySwap::Begin(fs_, layout_.db(), clock_.Now(), "this node's own data"));
    ASSIGN_OR_RETURN(const BuildOptions build, NewCluster(swap));
    LogInfo("Copying the data of {}", layout_.etcd());
    RETURN_IF_ERROR(CopyData(JoinPath(swap.staging(), "member")), "copy the data");
    etcd::RunOptions replay = etcd_;
    replay.config.data_dir = swap.staging();
    replay.config.for_reset = replay.config.force_new_cluster = true;
    replay.config_path = JoinPath(swap.staging(), "config");
    ASSIGN_OR_RETURN(const auto server, etcd::RunningServer::Start(fs_, clock_, replay));
    LogInfo("Starting etcd on the copy to bring it to the end of its log");
    RETURN_IF_ERROR(server->WaitHealthy(etcd::kStartTimeout, request_.stop));
    ASSIGN_OR_RETURN(const etcd::MemberStatus status, server->client()->GetStatus());
    RETURN_IF_ERROR(etcd::CommitToFile(*server->client(), request_.stop));
    server->Stop();
    ASSIGN_OR_RETURN(const mvcc::Inspection found, RebuildDataDir(fs_, build));
    if (found.revision < status.revision) {
      return DataLossError("etcd had revision {}, its database only {}", status.revision,
                           found.revision);
    }
    LogInfo("The data are good: revision {}, {} entries, database of {}", found.revision,
            found.total_entries, FormatBytes(found.bytes));
    return swap;
  }

  Status CopyData(const std::string& to) {
    RETURN_IF_ERROR(fs_.MakeDirectory(to, 0700));
    // One by one: each may be a link to another disk.
    for (const char* part : {"snap", "wal"})
      RETURN_IF_ERROR(CopyTree(fs_, JoinPath(layout_.etcd_member(), part), JoinPath(to, part)));
    // Without one of them etcd would begin an empty cluster.
    RETURN_IF_ERROR(fs_.Stat(JoinPath(to, "snap/db")).status());
    ASSIGN_OR_RETURN(const auto copied, ReadIdentity(fs_, JoinPath(to, "wal")));
    if (!copied) return DataLossError("{} holds no log", layout_.etcd_wal());
    return OkStatus();
  }

  Status PutInPlace(DirectorySwap swap) {
    // Before the data change: an id too many does no harm, one that is missing would let old data in.
    std::vector<std::string> ids = {snapshot_cluster_id_};
    if (former_.identity) ids.push_back(MemberIdText(former_.identity->cluster_id));
    touched_ = true;
    RETURN_IF_ERROR(AddFormerClusterIds(fs_, layout_, ids));
    RETURN_IF_ERROR(swap.Swap());
    if (!swap.old().empty()) LogInfo("Pre-restore etcd database moved to {}", swap.old());
    swap_.emplace(std::move(swap));
    return OkStatus();
  }

  // --- taking over ---

  // Certificates to match the data.
  Status TakeFiles() {
    touched_ = true;
    if (bootstrap_) {
      ASSIGN_OR_RETURN(const std::string backup,
                       OverwriteBootstrapFiles(fs_, layout_, *bootstrap_, clock_.Now()));
      if (!backup.empty())
        LogInfo("Certificates are those of the datastore now; the previous ones are in {}", backup);
    }
    CertificateOptions certificates = request_.files.certificates;
    certificates.replace_lone_keys = interrupted_.has_value();
    RETURN_IF_ERROR(EnsureCas(fs_, layout_, certificates));
    return EnsureLeaves(fs_, layout_, request_.files.certificates);
  }

  // The data are in place: etcd must come up as the only member.
  Status TakeOver() {
    RETURN_IF_ERROR(TakeFiles());
    etcd_.config.for_reset = true;
    ASSIGN_OR_RETURN(const auto server, etcd::RunningServer::Start(fs_, clock_, etcd_));
    LogInfo("Starting etcd for cluster membership reset");
    Status status = server->WaitHealthy(etcd::kStartTimeout, request_.stop);
    if (status.ok()) status = CheckAndSettle(*server->client());
    server->Stop();
    return status;
  }

  Status CheckAndSettle(etcd::Client& client) {
    ASSIGN_OR_RETURN(const etcd::MemberStatus status, client.GetStatus());
    if (status.revision < expected_revision_) {
      return DataLossError("etcd came up at revision {}, the data have {}", status.revision,
                           expected_revision_);
    }
    ASSIGN_OR_RETURN(const std::vector<etcd::MemberInfo> members, client.ListMembers());
    if (members.size() != 1)
      return FailedPreconditionError("etcd came up with {} members, expected only this one",
                                     members.size());
    if (had_alarms_) {
      // NOSPACE, usually; it would be raised again by the first write.
      LogWarn("The data held alarms of former members, which are dropped; defragmenting");
      RETURN_IF_ERROR(client.Defragment());
    }
    return ClearApiAddresses(client);
  }

  // Where a Kubernetes distribution has noted its apiservers, they are those of the former cluster: RKE2 empties the key
  // too. Where there is no such key, nothing is written.
  static Status ClearApiAddresses(etcd::Client& client) {
    for (const Distribution& distribution : Distributions()) {
      const std::string key = std::string(distribution.etcd_key_prefix) + "apiaddresses";
      const auto present = client.Get(key);
      if (absl::IsNotFound(present.status())) continue;
      RETURN_IF_ERROR(present.status());
      if (!present->value.empty()) RETURN_IF_ERROR(client.Put(key, ""));
    }
    return OkStatus();
  }

  // Old data and certificates come back; returns `cause` with what was done.
  Status RollBack(const Status& cause) {
    LogWarn("The reset failed, putting the previous data back: {}", MessageOf(cause));
    const bool had_data =
        swap_ ? !swap_->old().empty() : Exists(fs_, layout_.etcd()).value_or(true);
    // The files first: killed in between, the next start finishes the restore, files and all.
    Status back = PutFilesBack();
    if (back.ok() && swap_) back = swap_->RollBack();
    if (back.ok()) back = SetFormerClusterIds(fs_, layout_, lineage_before_);
    if (!back.ok()) {
      return WithHint(Annotate(cause, "reset failed"),
                      fmt::format("Putting the previous state back failed too: {}. {}",
                                  MessageOf(back), HintOf(back)));
    }
    return WithHint(
        Annotate(cause, "reset failed"),
        had_data ? "The data and certificates from before are in place again; nothing is lost."
                 : "There were no data before, and there are none now.");
  }

  Status PutFilesBack() {
    ASSIGN_OR_RETURN(const BootstrapData now, CollectBootstrapFiles(fs_, layout_));
    for (const BootstrapPath& known : BootstrapPaths()) {
      const std::string key(known.key);
      if (now.contains(key) && !files_before_.contains(key))
        RETURN_IF_ERROR(fs_.RemoveFile(JoinPath(layout_.server(), known.path)));
    }
    if (files_before_.empty()) return OkStatus();
    RETURN_IF_ERROR(OverwriteBootstrapFiles(fs_, layout_, files_before_, clock_.Now()).status());
    return EnsureLeaves(fs_, layout_, request_.files.certificates);
  }

  FileSystem& fs_;
  Clock& clock_;
  Random& random_;
  const ResetRequest& request_;
  const DataLayout& layout_;
  etcd::RunOptions etcd_;
  std::optional<InterruptedRestore> interrupted_;
  std::optional<BootstrapData> bootstrap_;
  std::optional<DirectorySwap> swap_;
  FormerCluster former_;
  std::vector<std::string> lineage_before_;
  std::vector<Member> snapshot_members_;
  std::string snapshot_cluster_id_;  // empty if nobody wrote it down
  BootstrapData files_before_;
  bool had_alarms_ = false;
  bool touched_ = false;  // something live is no more as it was
  std::int64_t expected_revision_ = 0;
};

}  // namespace

StatusOr<ResetReport> ResetCluster(FileSystem& fs, Clock& clock, Random& random,
                                   const ResetRequest& request) {
  return Reset(fs, clock, random, request).Run();
}

}  // namespace holdfast
