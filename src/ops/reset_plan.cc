#include "ops/reset_plan.h"

#include "artifact/naming.h"
#include "base/path.h"
#include "identity/lineage.h"
#include "identity/sealed_bootstrap.h"
#include "keys/token.h"
#include "ops/reset_checks.h"
#include "restore/find_snapshot.h"
#include "restore/former_cluster.h"

namespace holdfast {
namespace {

class Planner {
 public:
  Planner(FileSystem& fs, const ResetRequest& request, const std::string& scratch_directory,
          ResetPlan& plan)
      : fs_(fs),
        request_(request),
        layout_(request.layout),
        scratch_directory_(scratch_directory),
        plan_(plan) {}

  Status Run() {
    Note(LookForUnfinished());
    Note(CheckResetIsMeant(fs_, request_));
    Note(ReadFormerClusterIds(fs_, layout_, "").status());
    if (request_.snapshot) Note(LookAtSnapshot());
    Note(LookAtLive());
    std::vector<Member> of_snapshot;
    if (plan_.snapshot && plan_.snapshot->verified)
      of_snapshot = MembersFrom(plan_.snapshot->verified->found.members);
    plan_.peers =
        PeersBefore(request_, plan_.live ? plan_.live->cluster : FormerCluster(), of_snapshot);
    return first_error_;
  }

 private:
  void Note(const Status& status) {
    if (first_error_.ok()) first_error_ = status;
  }

  Status LookForUnfinished() {
    const auto entries = fs_.List(layout_.db());
    if (absl::IsNotFound(entries.status())) return OkStatus();
    RETURN_IF_ERROR(entries.status());
    for (const DirectoryEntry& entry : *entries) {
      if (entry.name.starts_with("etcd-new-"))
        plan_.unfinished = JoinPath(layout_.db(), entry.name);
    }
    return OkStatus();
  }

  Status LookAtSnapshot() {
    ASSIGN_OR_RETURN(const OpenedSnapshot opened, OpenSnapshot(*request_.snapshot));
    const std::string& path = opened.bytes->path();
    ResetPlan::Snapshot& snapshot = plan_.snapshot.emplace();
    snapshot.path = path;
    snapshot.manifest = opened.manifest;
    snapshot.taken_at = WhenTaken(opened);
    ASSIGN_OR_RETURN(const SnapshotSize size, MeasureSnapshot(*opened.bytes));
    Note(LookAtSpace(SpaceFor(size)));
    ASSIGN_OR_RETURN(snapshot.verified, VerifySnapshot(fs_, *opened.bytes,
                                                       {.scratch_directory = scratch_directory_,
                                                        .expected_sha256 = opened.expected_sha256,
                                                        .on_progress = VerifyProgress(),
                                                        .stop = request_.stop}));
    if (!snapshot.verified->has_digest)
      return DataLossError("{}: snapshot missing hash but --skip-hash-check=false", path);
    return TryToken(snapshot.verified->found, "the snapshot");
  }

  std::optional<absl::Time> WhenTaken(const OpenedSnapshot& snapshot) {
    if (snapshot.manifest && snapshot.manifest->ours()) return snapshot.manifest->created_at;
    const std::string& path = snapshot.bytes->path();
    if (IsS3Name(path)) return CreationTimeInName(BaseName(path));
    const auto info = fs_.Stat(path);
    return info.ok() ? std::optional(info->modified_at) : std::nullopt;
  }

  std::function<void(std::uint64_t, std::uint64_t)> VerifyProgress() const {
    if (!request_.on_progress) return {};
    return [this](std::uint64_t done, std::uint64_t total) {
      request_.on_progress("Verifying", done, total);
    };
  }

  Status LookAtLive() {
    ASSIGN_OR_RETURN(const bool has_data, Exists(fs_, layout_.etcd()));
    if (!has_data) return OkStatus();
    ResetPlan::Data& live = plan_.live.emplace();
    live.directory = layout_.etcd();
    live.cluster = LookAtFormerCluster(fs_, layout_);
    const Status read = ReadLive(live);
    // A restore takes the place of whatever is there.
    if (request_.snapshot) return OkStatus();
    RETURN_IF_ERROR(read);
    Note(TryToken(*live.found, "the datastore"));
    ASSIGN_OR_RETURN(const SpaceNeeded needed, SpaceForCopyOf(fs_, layout_.etcd_member()));
    return LookAtSpace(needed);
  }

  Status ReadLive(ResetPlan::Data& live) {
    mvcc::InspectOptions options{.status_hash = false, .stop = request_.stop};
    if (plan_.snapshot && plan_.snapshot->verified)
      options.changes_since = plan_.snapshot->verified->found.revision;
    ASSIGN_OR_RETURN(const auto file, fs_.OpenForRead(layout_.etcd_database()));
    ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(*file));
    ASSIGN_OR_RETURN(live.found, mvcc::Inspect(database, options));
    return OkStatus();
  }

  Status TryToken(const mvcc::Inspection& found, std::string_view source) {
    const Secret& password = request_.files.tokens.password;
    ASSIGN_OR_RETURN(const auto opened, OpenBootstrap(found.bootstrap, password, source));
    if (opened) plan_.token_hash = TokenHash(password);
    return OkStatus();
  }

  Status LookAtSpace(const SpaceNeeded& needed) {
    // On a new host the directory is not there yet.
    std::string directory = layout_.db();
    while (directory != "/" && !Exists(fs_, directory).value_or(true))
      directory = DirName(directory);
    plan_.needed = needed;
    ASSIGN_OR_RETURN(plan_.free_bytes, fs_.FreeSpace(directory));
    return CheckSpace(fs_, directory, needed);
  }

  FileSystem& fs_;
  const ResetRequest& request_;
  const DataLayout& layout_;
  const std::string& scratch_directory_;
  ResetPlan& plan_;
  Status first_error_;
};

}  // namespace

Status PlanReset(FileSystem& fs, const ResetRequest& request, const std::string& scratch_directory,
                 ResetPlan& plan) {
  return Planner(fs, request, scratch_directory, plan).Run();
}

}  // namespace holdfast
