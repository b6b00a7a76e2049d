#include "ops/reset.h"

#include <optional>

#include "base/distribution.h"
#include "base/log.h"
#include "base/text.h"
#include "identity/bootstrap_files.h"
#include "identity/sealed_bootstrap.h"
#include "keys/token.h"
#include "os/atomic_file.h"
#include "restore/build_data_dir.h"
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

  Status Run() {
    RETURN_IF_ERROR(Prepare());
    RETURN_IF_ERROR(restoring() ? BuildAndSwap() : ReadPresentData());
    Status status = TakeOver();
    if (!status.ok() && swap_) status = RollBack(status);
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(WriteTokenFiles(fs_, layout_, request_.files.tokens));
    RETURN_IF_ERROR(WriteFileAtomically(fs_, layout_.reset_flag(), "", 0600));
    if (swap_) return swap_->Finish();
    return interrupted_ ? FinishInterruptedRestore(fs_, layout_.db()) : OkStatus();
  }

 private:
  bool restoring() const { return request_.snapshot.has_value(); }

  // Everything that needs no data.
  Status Prepare() {
    ASSIGN_OR_RETURN(interrupted_,
                     RecoverSwap(fs_, layout_.db(), /*starting_empty_is_fine=*/restoring()));
    if (restoring()) {
      if (!request_.files.tokens.password.empty()) return OkStatus();
      return FailedPreconditionError(
          "{} does not exist, please pass --token to complete the restoration", layout_.token());
    }
    ASSIGN_OR_RETURN(const bool was_reset, Exists(fs_, layout_.reset_flag()));
    if (was_reset) {
      return FailedPreconditionError(
          "Managed etcd cluster membership was previously reset, please remove the cluster-reset "
          "flag and start {} normally. If you "
          "need to perform another cluster reset, you must first manually delete the file at {}",
          request_.files.tokens.distribution, layout_.reset_flag());
    }
    ASSIGN_OR_RETURN(const bool has_data, Exists(fs_, layout_.etcd_wal()));
    if (has_data) return OkStatus();
    return WithHint(
        FailedPreconditionError("there are no etcd data in {} to reset", layout_.etcd()),
        "Give a snapshot with --cluster-reset-restore-path, or start the server normally to begin "
        "a new cluster.");
  }

  // The bootstrap data of `found` open with our token, or there are none.
  Status CheckToken(const mvcc::Inspection& found) {
    ASSIGN_OR_RETURN(
        bootstrap_, OpenBootstrap(found.bootstrap, request_.files.tokens.password, "the snapshot"));
    if (!bootstrap_)
      LogInfo("The snapshot holds no bootstrap data; this node's own certificates stay");
    expected_revision_ = found.revision + static_cast<std::int64_t>(request_.bump_revision);
    return OkStatus();
  }

  Status BuildAndSwap() {
    ASSIGN_OR_RETURN(const FetchedSnapshot fetched, FetchSnapshot(*request_.snapshot));
    const Status status = BuildAndSwap(fetched.path);
    // Things stay as they were: also, the next try does not meet two snapshots of one name.
    if (!status.ok()) RemoveDownload(request_.snapshot->place, fetched);
    return status;
  }

  Status BuildAndSwap(const std::string& path) {
    ASSIGN_OR_RETURN(const auto snapshot, fs_.OpenForRead(path));
    ASSIGN_OR_RETURN(const SnapshotSize size, MeasureSnapshot(*snapshot));
    RETURN_IF_ERROR(CheckSpace(fs_, layout_.db(), SpaceFor(size)));
    LogInfo("Restoring {} ({})", path, FormatBytes(size.file_bytes));

    ASSIGN_OR_RETURN(DirectorySwap swap,
                     DirectorySwap::Begin(fs_, layout_.db(), clock_.Now(), path));
    ASSIGN_OR_RETURN(etcd_.config.name, WriteNewMemberName(fs_, JoinPath(swap.staging(), "name"),
                                                           request_.node_name, random_));
    ASSIGN_OR_RETURN(Membership membership,
                     ParseInitialCluster(etcd_.config.name + "=" + etcd_.config.PeerUrl(), ""));
    BuildOptions build{
        .data_dir = swap.staging(),
        .membership = membership,
        .node = membership.members.front().id,
        .bump_revision = request_.bump_revision,
        .mark_compacted = request_.mark_compacted,
        .approve = [this](const mvcc::Inspection& found) { return CheckToken(found); },
        .stop = request_.stop};
    if (request_.on_progress)
      build.on_progress = [&](std::uint64_t done) {
        request_.on_progress("Restoring", done, size.snapshot_bytes);
      };
    ASSIGN_OR_RETURN(const mvcc::Inspection found, BuildDataDir(fs_, *snapshot, build));
    LogInfo("The snapshot is good: revision {}, {} entries, database of {}", found.revision,
            found.total_entries, FormatBytes(found.bytes));
    RETURN_IF_ERROR(swap.Swap());
    if (!swap.old().empty()) LogInfo("Pre-restore etcd database moved to {}", swap.old());
    swap_.emplace(std::move(swap));
    return OkStatus();
  }

  Status ReadPresentData() {
    ASSIGN_OR_RETURN(bootstrap_, ReadStoredBootstrap(fs_, layout_, request_.files.tokens.password));
    ASSIGN_OR_RETURN(etcd_.config.name,
                     WriteNewMemberName(fs_, layout_.etcd_name(), request_.node_name, random_));
    etcd_.config.force_new_cluster = true;
    return OkStatus();
  }

  // The data are in place: certificates to match, then etcd must come up as the only member.
  Status TakeOver() {
    ASSIGN_OR_RETURN(files_before_, CollectBootstrapFiles(fs_, layout_));
    if (bootstrap_) {
      ASSIGN_OR_RETURN(const std::string backup,
                       OverwriteBootstrapFiles(fs_, layout_, *bootstrap_, clock_.Now()));
      if (!backup.empty())
        LogInfo("Certificates are those of the datastore now; the previous ones are in {}", backup);
    }
    CertificateOptions certificates = request_.files.certificates;
    certificates.replace_lone_keys = interrupted_.has_value();
    RETURN_IF_ERROR(EnsureCas(fs_, layout_, certificates));
    RETURN_IF_ERROR(EnsureLeaves(fs_, layout_, request_.files.certificates));
    etcd_.config.for_reset = true;
    ASSIGN_OR_RETURN(const auto server, etcd::RunningServer::Start(fs_, clock_, etcd_));
    LogInfo("Starting etcd for cluster membership reset");
    Status status = server->WaitHealthy(etcd::kStartTimeout, request_.stop);
    if (status.ok()) status = SettleMembership(*server->client());
    server->Stop();
    return status;
  }

  Status SettleMembership(etcd::Client& client) {
    ASSIGN_OR_RETURN(const etcd::MemberStatus status, client.GetStatus());
    if (status.revision < expected_revision_) {
      return DataLossError("etcd came up at revision {}, the snapshot has {}", status.revision,
                           expected_revision_);
    }
    ASSIGN_OR_RETURN(const std::vector<etcd::MemberInfo> members, client.ListMembers());
    if (members.size() != 1)
      return FailedPreconditionError("etcd came up with {} members, expected only this one",
                                     members.size());
    const std::vector<std::string> peer_urls = {etcd_.config.PeerUrl()};
    if (members[0].peer_urls != peer_urls)
      RETURN_IF_ERROR(client.UpdateMember(members[0].id, peer_urls));
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
    const std::string old = swap_->old();
    // The files first: killed in between, the next start finishes the restore, files and all.
    Status back = PutFilesBack();
    if (back.ok()) back = swap_->RollBack();
    if (!back.ok()) {
      return WithHint(Annotate(cause, "reset failed"),
                      fmt::format("Putting the previous state back failed too: {}. {}",
                                  MessageOf(back), HintOf(back)));
    }
    return WithHint(
        Annotate(cause, "reset failed"),
        old.empty() ? "There were no data before, and there are none now."
                    : "The data and certificates from before are in place again; nothing is lost.");
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
  BootstrapData files_before_;
  std::int64_t expected_revision_ = 0;
};

}  // namespace

Status ResetCluster(FileSystem& fs, Clock& clock, Random& random, const ResetRequest& request) {
  return Reset(fs, clock, random, request).Run();
}

}  // namespace holdfast
