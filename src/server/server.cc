#include "server/server.h"

#include <unistd.h>

#include <memory>
#include <optional>

#include "api/http_server.h"
#include "api/metrics.h"
#include "api/routes.h"
#include "base/layout.h"
#include "base/log.h"
#include "base/text.h"
#include "identity/bootstrap_files.h"
#include "identity/sealed_bootstrap.h"
#include "keys/pki.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "ops/reset.h"
#include "ops/server_files.h"
#include "os/atomic_file.h"
#include "os/host.h"
#include "os/service_notify.h"
#include "restore/swap_dir.h"
#include "server/etcd_keeper.h"
#include "server/snapshot_service.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kSmallFileMax = 1 * kMiB;
constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kCommitTimeout = absl::Minutes(1);
// How long an etcd may take to die after the server that was killed.
constexpr absl::Duration kOrphanPatience = absl::Seconds(5), kOrphanPoll = absl::Milliseconds(100);

// Held while a server (or a reset) runs on a data directory. Its content is the holder's pid, and empty after an end in
// order.
struct DataDirLock {
  std::unique_ptr<File> file;
  bool holder_was_killed = false;
};
StatusOr<DataDirLock> LockDataDir(FileSystem& fs, const DataLayout& layout) {
  DataDirLock lock;
  ASSIGN_OR_RETURN(lock.file, fs.OpenOrCreate(layout.lock(), 0600));
  const Status locked = lock.file->TryLock();
  const std::string holder(Trim(ReadFile(fs, layout.lock(), kSmallFileMax).value_or("")));
  if (absl::IsAborted(locked)) {
    return WithHint(AbortedError("another server is running on {}{}", layout.data_dir(),
                                 holder.empty() ? "" : fmt::format(" (pid {})", holder)),
                    "Stop it first; with systemd: systemctl stop holdfast-server.");
  }
  RETURN_IF_ERROR(locked);
  lock.holder_was_killed = !holder.empty();
  RETURN_IF_ERROR(lock.file->Truncate(0));
  RETURN_IF_ERROR(lock.file->WriteAt(0, BytesOf(fmt::format("{}\n", ::getpid()))));
  return lock;
}

class Server final : public ApiBackend {
 public:
  Server(const ServerOptions& options, const ServerContext& context)
      : options_(options),
        context_(context),
        fs_(context.fs),
        layout_(options.data_dir),
        metrics_(context.distribution.metric_prefix) {}

  Status Run() {
    // What etcd could not be started with is said now, not after attempts.
    RETURN_IF_ERROR(etcd::EncodeServerConfig(EtcdOptions("").config).status());
    RETURN_IF_ERROR(MakeServerDirectories(fs_, layout_));
    ASSIGN_OR_RETURN(const DataDirLock lock, LockDataDir(fs_, layout_));
    const Status status = RunLocked(lock.holder_was_killed);
    // best effort: it only tells the next start that no etcd of ours can be left
    (void)lock.file->Truncate(0);
    const bool asked_to_stop = absl::IsCancelled(status) && context_.stop.stop_requested();
    return asked_to_stop && !options_.cluster_reset ? OkStatus() : status;
  }

  // --- ApiBackend ---

  std::string CaCertificates() override {
    return ReadFile(fs_, JoinPath(layout_.tls(), "server-ca.crt"), kSmallFileMax).value_or("");
  }

  Status Live() override { return keeper_->failure(); }

  Status Ready() override {
    if (stopping_) return UnavailableError("the server is stopping");
    RETURN_IF_ERROR(keeper_->health());
    if (!ready_) return UnavailableError("the bootstrap data are not saved yet");
    return OkStatus();
  }

  std::string MetricsPage() override { return metrics_.Page(); }

  StatusOr<std::vector<etcd::MemberInfo>> Members() override {
    ASSIGN_OR_RETURN(const auto client, keeper_->client());
    return client->ListMembers();
  }

  StatusOr<SnapshotResult> SaveSnapshot(
      const SnapshotRequest& request,
      const std::function<void(const Progress&)>& on_progress) override {
    return snapshots_->Save(request, on_progress);
  }
  StatusOr<SnapshotResult> PruneSnapshots(const SnapshotRequest& request) override {
    return snapshots_->Prune(request);
  }
  StatusOr<SnapshotResult> DeleteSnapshots(const SnapshotRequest& request) override {
    return snapshots_->Delete(request);
  }
  StatusOr<std::vector<SnapshotRecord>> ListSnapshots(const SnapshotRequest& request) override {
    return snapshots_->List(request);
  }

 private:
  // --- start ---

  Status RunLocked(bool predecessor_was_killed) {
    ASSIGN_OR_RETURN(node_name_, NodeName());
    RETURN_IF_ERROR(RemoveUnfinishedFiles(fs_, layout_));
    RETURN_IF_ERROR(FindEtcd());
    RETURN_IF_ERROR(ReadTokens());
    RETURN_IF_ERROR(CheckPorts(predecessor_was_killed));
    return options_.cluster_reset ? Reset() : Serve();
  }

  Status FindEtcd() {
    const auto find = [&]() -> StatusOr<std::string> {
      ASSIGN_OR_RETURN(binary_, FindProgram(options_.etcd_binary));
      return etcd::ProgramVersion(binary_);
    };
    const auto version = find();
    if (!version.ok()) {
      return WithHint(Annotate(version.status(), "etcd"),
                      "Install etcd, or name its program with --etcd-binary.");
    }
    LogInfo("Node {} at {}, etcd {} ({})", node_name_, options_.node_address, *version, binary_);
    return OkStatus();
  }

  StatusOr<std::string> NodeName() {
    if (!options_.with_node_id) return options_.node_name;
    auto id = ReadFile(fs_, layout_.node_id(), kSmallFileMax);
    if (absl::IsNotFound(id.status())) {
      id = context_.random.Hex(4);
      RETURN_IF_ERROR(WriteFileAtomically(fs_, layout_.node_id(), *id, 0600));
    }
    RETURN_IF_ERROR(id.status());
    return options_.node_name + "-" + std::string(Trim(*id));
  }

  // The password that is in force stays empty if there is none yet.
  Status ReadTokens() {
    Secret given = options_.token, agent = options_.agent_token;
    if (!options_.token_file.empty()) {
      ASSIGN_OR_RETURN(given,
                       WaitForTokenFile(fs_, context_.clock, options_.token_file, context_.stop));
    }
    if (!options_.agent_token_file.empty()) {
      ASSIGN_OR_RETURN(
          agent, WaitForTokenFile(fs_, context_.clock, options_.agent_token_file, context_.stop));
    }
    ASSIGN_OR_RETURN(files_.tokens.password, ServerPassword(fs_, layout_, given));
    if (!agent.empty()) {
      ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(agent.reveal()), "agent token");
      files_.tokens.agent_password = token.password;
    }
    files_.tokens.distribution = context_.distribution.name;
    files_.certificates = {.distribution = std::string(context_.distribution.name),
                           .sans = options_.sans,
                           .now = context_.clock.Now()};
    if (node_name_ != options_.node_name) files_.certificates.sans.push_back(node_name_);
    return OkStatus();
  }

  Status CheckPorts(bool predecessor_was_killed) {
    struct Wanted {
      std::string address;
      int port;
      const char* flag;
    };
    const std::string loopback = "127.0.0.1";
    std::vector<Wanted> wanted = {
        {options_.bind_address, options_.supervisor_port, "supervisor-port"},
        {loopback, options_.etcd_client_port, "etcd-client-port"},
        {loopback, options_.etcd_peer_port, "etcd-peer-port"},
        {loopback, options_.etcd_metrics_port, "etcd-metrics-port"},
        {loopback, options_.etcd_client_http_port, "etcd-client-http-port"}};
    if (options_.node_address != loopback) {
      wanted.push_back({options_.node_address, options_.etcd_client_port, "etcd-client-port"});
      wanted.push_back({options_.node_address, options_.etcd_peer_port, "etcd-peer-port"});
      if (options_.etcd_expose_metrics)
        wanted.push_back({options_.node_address, options_.etcd_metrics_port, "etcd-metrics-port"});
    }
    const Deadline deadline(context_.clock,
                            predecessor_was_killed ? kOrphanPatience : absl::ZeroDuration());
    for (const Wanted& w : wanted) {
      Status free = CheckPortFree(w.address, w.port);
      // The kernel kills the etcd of a server that was killed; that may still be going on.
      while (!free.ok() && !deadline.passed() && context_.clock.Sleep(kOrphanPoll, context_.stop))
        free = CheckPortFree(w.address, w.port);
      if (!free.ok())
        return WithHint(
            free, fmt::format("Stop what uses it, or choose another port with --{}.", w.flag));
    }
    return OkStatus();
  }

  etcd::RunOptions EtcdOptions(const std::string& member_name) const {
    return {.binary = binary_,
            .config = {.name = member_name,
                       .data_dir = layout_.etcd(),
                       .node_address = options_.node_address,
                       .ports = {.client = options_.etcd_client_port,
                                 .peer = options_.etcd_peer_port,
                                 .metrics = options_.etcd_metrics_port,
                                 .client_http = options_.etcd_client_http_port},
                       .tls_dir = layout_.etcd_tls(),
                       .expose_metrics = options_.etcd_expose_metrics,
                       .auto_compaction_retention = options_.etcd_auto_compaction_retention,
                       .extra_args = options_.etcd_args},
            .config_path = layout_.etcd_config()};
  }

  // --- cluster-reset ---

  Status Reset() {
    const ResetRequest request{.layout = layout_,
                               .node_name = node_name_,
                               .files = files_,
                               .etcd = EtcdOptions(""),
                               .snapshot = SnapshotToRestore(),
                               .bump_revision = options_.bump_revision,
                               .mark_compacted = options_.mark_compacted,
                               .on_progress = context_.on_progress,
                               .stop = context_.stop};
    RETURN_IF_ERROR(ResetCluster(fs_, context_.clock, context_.random, request));
    LogInfo("{}", kResetDone);
    return OkStatus();
  }

  std::optional<FetchRequest> SnapshotToRestore() const {
    if (options_.restore_path.empty()) return std::nullopt;
    return FetchRequest{.given = options_.restore_path,
                        .working_directory = context_.working_directory,
                        .place = {.fs = fs_,
                                  .directory = options_.snapshots.directory,
                                  .make_if_missing = options_.snapshots.is_default_directory,
                                  .node = node_name_},
                        .s3_on = options_.snapshots.s3.on.value_or(false),
                        .s3 = options_.snapshots.s3.options,
                        .open_s3 = context_.open_s3,
                        .on_progress = context_.on_progress,
                        .stop = context_.stop};
  }

  // --- serving ---

  Status Serve() {
    RETURN_IF_ERROR(PrepareData());
    ASSIGN_OR_RETURN(const std::string member_name, MemberName());
    std::stop_source give_up;
    keeper_ = std::make_unique<EtcdKeeper>(fs_, context_.clock, metrics_, EtcdOptions(member_name),
                                           [give_up]() mutable { give_up.request_stop(); });
    ASSIGN_OR_RETURN(const std::string cluster_id, CaHash(CaCertificates()), "server CA");
    snapshots_ = std::make_unique<SnapshotService>(
        SnapshotServiceContext{.fs = fs_,
                               .clock = context_.clock,
                               .random = context_.random,
                               .metrics = metrics_,
                               .options = options_.snapshots,
                               .open_s3 = context_.open_s3,
                               .node = node_name_,
                               .cluster_id = cluster_id,
                               .token_hash = TokenHash(files_.tokens.password),
                               .etcd = [this] { return keeper_->client(); },
                               .stop = context_.stop});
    const Status status = ServeRequests(give_up.get_token());
    snapshots_.reset();
    LogInfo("Stopping etcd");
    keeper_.reset();
    return status;
  }

  // While the keeper is there, which the listener's handlers use.
  Status ServeRequests(std::stop_token give_up) {
    ServiceNotifier notifier;
    ASSIGN_OR_RETURN(const auto listener, StartListener());
    Status status = BecomeReady(notifier);
    if (status.ok()) status = RunJobs(notifier, give_up);
    stopping_ = true;
    notifier.Send("STOPPING=1");
    return status;
  }

  // The data directory in order, and the files that etcd needs.
  Status PrepareData() {
    ASSIGN_OR_RETURN(interrupted_,
                     RecoverSwap(fs_, layout_.db(), /*starting_empty_is_fine=*/false));
    Secret& password = files_.tokens.password;
    ASSIGN_OR_RETURN(const bool has_data, Exists(fs_, layout_.etcd_wal()));
    auto stored = ReadStoredBootstrap(fs_, layout_, password);
    if (absl::IsDataLoss(stored.status())) {
      ASSIGN_OR_RETURN(const bool has_cas, HasCas(fs_, layout_));
      if (!has_cas) return stored.status();
      LogError(
          "etcd's database is damaged; it is started all the same, but a snapshot should be "
          "restored: {}",
          MessageOf(stored.status()));
      stored = std::optional<BootstrapData>();
    }
    RETURN_IF_ERROR(stored.status());
    if (*stored && interrupted_) {
      LogWarn("Finishing the interrupted restore of {}", interrupted_->snapshot);
      RETURN_IF_ERROR(
          OverwriteBootstrapFiles(fs_, layout_, **stored, context_.clock.Now()).status());
    } else if (*stored) {
      ASSIGN_OR_RETURN(const auto written, ReconcileBootstrapFiles(fs_, layout_, **stored));
      for (const std::string& path : written) LogInfo("{} was written from the datastore", path);
    } else if (has_data) {
      ASSIGN_OR_RETURN(const bool has_cas, HasCas(fs_, layout_));
      if (!has_cas && !interrupted_) {
        return FailedPreconditionError(
            "no bootstrap data found in datastore - check server token value and verify datastore "
            "integrity");
      }
    }
    files_.certificates.replace_lone_keys = !has_data || interrupted_.has_value();
    if (password.empty()) {
      password = NewPassword(context_.random);
      LogInfo("A new token was made; it is in {}", layout_.token());
    }
    RETURN_IF_ERROR(MakeServerFiles(fs_, layout_, files_));
    ASSIGN_OR_RETURN(passwd_, ReadPasswdFile(fs_, layout_));
    return MakeDirectories(fs_, layout_.etcd(), 0700);
  }

  StatusOr<std::string> MemberName() {
    auto name = ReadFile(fs_, layout_.etcd_name(), kSmallFileMax);
    if (name.ok() && !Trim(*name).empty()) return std::string(Trim(*name));
    if (!name.ok() && !absl::IsNotFound(name.status())) return name.status();
    return WriteNewMemberName(fs_, layout_.etcd_name(), node_name_, context_.random);
  }

  StatusOr<std::unique_ptr<HttpServer>> StartListener() {
    ASSIGN_OR_RETURN(const KeyPair pair, ReadKeyPair(fs_, JoinPath(layout_.tls(), "supervisor")));
    ASSIGN_OR_RETURN(
        auto listener,
        HttpServer::Start({.address = options_.bind_address,
                           .port = options_.supervisor_port,
                           .certificate_pem = pair.certificate_pem,
                           .key_pem = pair.key_pem,
                           .authenticate =
                               [this](const std::string& user, const Secret& password) {
                                 return passwd_.RoleOf(user, password);
                               },
                           .routes = SupervisorRoutes(*this, context_.distribution.label_domain)}));
    LogInfo("Supervisor listens on {}:{}", options_.bind_address, options_.supervisor_port);
    return listener;
  }

  Status BecomeReady(const ServiceNotifier& notifier) {
    notifier.Send("STATUS=waiting for etcd");
    RETURN_IF_ERROR(keeper_->WaitHealthy(context_.stop));
    RETURN_IF_ERROR(SaveBootstrap());
    if (interrupted_) RETURN_IF_ERROR(FinishInterruptedRestore(fs_, layout_.db()));
    if (const Status removed = fs_.RemoveFile(layout_.reset_flag()); removed.ok()) {
      LogInfo("Cluster reset is complete, {} removed", layout_.reset_flag());
    } else if (!absl::IsNotFound(removed)) {
      return removed;
    }
    ready_ = true;
    LogInfo("{} is up and running", context_.distribution.name);
    notifier.Send("READY=1\nSTATUS=running");
    return OkStatus();
  }

  // The bootstrap data in etcd are what is on disk, sealed with our token.
  Status SaveBootstrap() {
    ASSIGN_OR_RETURN(const auto client, keeper_->client());
    ASSIGN_OR_RETURN(const auto records, client->GetPrefix(std::string(kBootstrapKeyPrefix)));
    std::map<std::string, std::string> values;
    for (const etcd::KeyRecord& record : records) values[record.key] = record.value;
    const Secret& password = files_.tokens.password;
    ASSIGN_OR_RETURN(const auto stored, OpenBootstrap(values, password, "the datastore"));
    ASSIGN_OR_RETURN(const BootstrapData on_disk, CollectBootstrapFiles(fs_, layout_));
    if (stored && SameFiles(*stored, on_disk)) return OkStatus();
    ASSIGN_OR_RETURN(const std::string sealed,
                     Seal(EncodeBootstrap(on_disk), password, context_.random));
    if (stored) {
      LogInfo("Bootstrap data in the datastore are brought up to date");
      RETURN_IF_ERROR(client->Put(BootstrapKeyName(password), sealed));
    } else {
      RETURN_IF_ERROR(client->Create(BootstrapKeyName(password), sealed));
      LogInfo("Bootstrap data are saved in the datastore (token hash {})", TokenHash(password));
    }
    // The next start reads them in etcd's database file, before etcd runs. etcd writes that file a moment after it has
    // acknowledged a key, and may be killed in between; a snapshot begins with writing it.
    return client->Snapshot(kCommitTimeout, context_.stop).status();
  }

  // Files that we do not keep on disk may be in the datastore all the same (another distribution's).
  static bool SameFiles(const BootstrapData& stored, const BootstrapData& on_disk) {
    for (const auto& [key, file] : on_disk) {
      const auto it = stored.find(key);
      if (it == stored.end() || it->second.content != file.content) return false;
    }
    return true;
  }

  Status RunJobs(const ServiceNotifier& notifier, std::stop_token give_up) {
    snapshots_->StartJobs();
    absl::Duration next_watchdog = context_.clock.Steady();
    const absl::Duration tick = std::min(kTick, notifier.watchdog_interval().value_or(kTick));
    while (context_.clock.Sleep(tick, context_.stop) && !give_up.stop_requested()) {
      if (notifier.watchdog_interval() && context_.clock.Steady() >= next_watchdog) {
        notifier.Send("WATCHDOG=1");
        next_watchdog = context_.clock.Steady() + *notifier.watchdog_interval();
      }
    }
    return keeper_->failure();
  }

  const ServerOptions& options_;
  const ServerContext& context_;
  FileSystem& fs_;
  const DataLayout layout_;
  Metrics metrics_;
  std::string node_name_, binary_;
  ServerFilesOptions files_;
  PasswdFile passwd_;
  std::optional<InterruptedRestore> interrupted_;
  std::atomic<bool> ready_ = false, stopping_ = false;
  std::unique_ptr<EtcdKeeper> keeper_;
  std::unique_ptr<SnapshotService> snapshots_;
};

}  // namespace

Status RunServer(const ServerOptions& options, const ServerContext& context) {
  return Server(options, context).Run();
}

}  // namespace holdfast
