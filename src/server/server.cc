#include "server/server.h"

#include <unistd.h>

#include <memory>
#include <optional>

#include "api/cluster_routes.h"
#include "api/http_server.h"
#include "api/metrics.h"
#include "api/routes.h"
#include "base/layout.h"
#include "base/log.h"
#include "base/text.h"
#include "etcd/health.h"
#include "etcd_cluster/etcd_datastore.h"
#include "identity/bootstrap_files.h"
#include "identity/sealed_bootstrap.h"
#include "keys/pki.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "ops/former_peers.h"
#include "ops/reset.h"
#include "ops/server_files.h"
#include "os/atomic_file.h"
#include "os/host.h"
#include "os/service_notify.h"
#include "restore/swap_dir.h"
#include "server/cluster.h"
#include "server/cluster_entry.h"
#include "server/datastore_server.h"
#include "server/etcd_keeper.h"
#include "server/snapshot_service.h"
#include "server/startup.h"

namespace holdfast {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);

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
    ASSIGN_OR_RETURN(DataDirLock lock, LockDataDir(fs_, layout_));
    const Status status = RunLocked(lock.holder_was_killed);
    Unlock(lock);
    const bool asked_to_stop = absl::IsCancelled(status) && context_.stop.stop_requested();
    return asked_to_stop && !options_.cluster_reset ? OkStatus() : status;
  }

  Status PlanReset(const std::string& scratch_directory, ResetPlan& plan) {
    RETURN_IF_ERROR(etcd::EncodeServerConfig(EtcdOptions("").config).status());
    RETURN_IF_ERROR(CheckNobodyRuns(fs_, layout_));
    ASSIGN_OR_RETURN(node_name_, NodeNameOf(options_, context_, layout_));
    Status first = FindEtcd();
    RETURN_IF_ERROR(TakeTokens());
    if (first.ok()) first = CheckPorts(/*predecessor_was_killed=*/false);
    const Status planned = holdfast::PlanReset(fs_, MakeResetRequest(), scratch_directory, plan);
    return first.ok() ? planned : first;
  }

  // --- ApiBackend ---

  std::string CaCertificates() override {
    return ReadFile(fs_, JoinPath(layout_.tls(), "server-ca.crt"), kSmallFileMax).value_or("");
  }

  Status Live() override { return keeper_->failure(); }

  Status Ready() override {
    if (stopping_) return UnavailableError("the server is stopping");
    if (const Status health = keeper_->health(); !health.ok()) {
      const std::string situation = cluster_->Situation();
      return situation.empty() ? health : UnavailableError("{}\n{}", MessageOf(health), situation);
    }
    if (!ready_) return UnavailableError("the bootstrap data are not saved yet");
    return OkStatus();
  }

  std::string MetricsPage() override { return metrics_.Page(); }

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
  StatusOr<SnapshotListing> ListSnapshots(const SnapshotRequest& request) override {
    SnapshotListing list;
    ASSIGN_OR_RETURN(list.records, snapshots_->List(request));
    // A directory that the caller names is this server's.
    if (!request.local && !request.directory) cluster_->AddPeersSnapshots(list);
    return list;
  }

 private:
  // --- start ---

  Status RunLocked(bool predecessor_was_killed) {
    ASSIGN_OR_RETURN(node_name_, NodeNameOf(options_, context_, layout_));
    RETURN_IF_ERROR(RemoveUnfinishedFiles(fs_, layout_));
    RETURN_IF_ERROR(FindEtcd());
    RETURN_IF_ERROR(TakeTokens());
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

  Status TakeTokens() {
    ASSIGN_OR_RETURN(ServerTokens tokens, ReadTokens(options_, context_, layout_, node_name_));
    token_ = std::move(tokens.as_known);
    files_ = std::move(tokens.files);
    return OkStatus();
  }

  Status CheckPorts(bool predecessor_was_killed) {
    const std::string loopback = "127.0.0.1";
    std::vector<WantedPort> wanted = {
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
    return CheckPortsFree(wanted, context_, predecessor_was_killed);
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

  ResetRequest MakeResetRequest() const {
    return {.layout = layout_,
            .node_name = node_name_,
            .files = files_,
            .etcd = EtcdOptions(""),
            .snapshot = SnapshotToRestore(),
            .bump_revision = options_.bump_revision,
            .mark_compacted = options_.mark_compacted,
            .on_progress = context_.on_progress,
            .stop = context_.stop};
  }

  Status Reset() {
    ASSIGN_OR_RETURN(const ResetReport report,
                     ResetCluster(fs_, context_.clock, context_.random, MakeResetRequest()));
    LogInfo("{}", kResetDone);
    const RejoinPlace place{
        .program = std::string(context_.distribution.name),
        .data_dir = options_.data_dir,
        .server_url = "https://" + etcd::HostPort(options_.node_address, options_.supervisor_port)};
    for (const std::string& line : RejoinAdvice(report.peers, place)) LogInfo("{}", line);
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
    const ClusterSetup setup = SetupOfCluster();
    ClusterEntry entry(setup);
    RETURN_IF_ERROR(PrepareData(entry));
    ASSIGN_OR_RETURN(const std::string member_name, MemberName());
    etcd::RunOptions etcd = EtcdOptions(member_name);
    if (entry.joins()) {
      ASSIGN_OR_RETURN(etcd.config.join_cluster, entry.Join(member_name));
    }
    std::stop_source give_up;
    keeper_ = std::make_unique<EtcdKeeper>(fs_, context_.clock, metrics_, std::move(etcd),
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
                               .token_hash = [this] { return TokenHashOfDatastore(); },
                               .datastore = [this]() -> StatusOr<std::unique_ptr<Datastore>> {
                                 ASSIGN_OR_RETURN(auto client, keeper_->client());
                                 return EmbeddedEtcd(std::move(client));
                               },
                               .stop = context_.stop});
    cluster_ = std::make_unique<Cluster>(setup, context_.random, *keeper_, files_.tokens,
                                         HooksOfCluster());
    const Status status = ServeRequests(give_up.get_token());
    cluster_.reset();
    snapshots_.reset();
    LogInfo("Stopping etcd");
    keeper_.reset();
    return status;
  }

  ClusterSetup SetupOfCluster() {
    const etcd::ServerConfig config = EtcdOptions("").config;
    ClusterSetup setup{
        .fs = fs_,
        .clock = context_.clock,
        .distribution = context_.distribution,
        .layout = layout_,
        .node_name = node_name_,
        .node_address = options_.node_address,
        .version = context_.version,
        .peer_url = config.PeerUrl(),
        .client_url = "https://" + etcd::HostPort(options_.node_address, options_.etcd_client_port),
        .supervisor_url =
            "https://" + etcd::HostPort(options_.node_address, options_.supervisor_port),
        .server_url = options_.server_url,
        .token = token_,
        .rejoin = options_.rejoin,
        .stop = context_.stop};
    setup.config.values = {{"distribution", std::string(context_.distribution.name)}};
    // etcd wants these alike on all members.
    for (const auto& [key, text] : std::map<std::string, std::string>{
             {"heartbeat-interval", "500"}, {"election-timeout", "5000"}}) {
      setup.config.values["etcd-arg " + key] = text;
      for (const std::string& argument : options_.etcd_args) {
        const std::string given =
            argument.substr(std::min(argument.find_first_not_of('-'), argument.size()));
        if (given.starts_with(key + "="))
          setup.config.values["etcd-arg " + key] = given.substr(key.size() + 1);
      }
    }
    return setup;
  }

  Cluster::Hooks HooksOfCluster() {
    return {.ready = [this] { return Ready(); },
            .last_snapshot = [this] { return snapshots_->last_snapshot(); },
            .give_up = [this](const Status& why) { keeper_->GiveUp(why); },
            .on_new_token =
                [this](const Secret& password) {
                  auto passwd = ReadPasswdFile(fs_, layout_);
                  const MutexLock lock(tokens_mutex_);
                  files_.tokens.password = password;
                  if (passwd.ok()) passwd_ = *std::move(passwd);
                }};
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
  Status PrepareData(ClusterEntry& entry) {
    ASSIGN_OR_RETURN(interrupted_,
                     RecoverSwap(fs_, layout_.db(),
                                 /*starting_empty_is_fine=*/!options_.server_url.empty()));
    Secret& password = files_.tokens.password;
    if (!interrupted_) RETURN_IF_ERROR(entry.Prepare(password));
    ASSIGN_OR_RETURN(const bool has_data, Exists(fs_, layout_.etcd_wal()));
    auto stored =
        entry.bootstrap() ? entry.bootstrap() : ReadStoredBootstrap(fs_, layout_, password);
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
    if (*stored && (interrupted_ || entry.joins())) {
      if (interrupted_) LogWarn("Finishing the interrupted restore of {}", interrupted_->snapshot);
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
    RETURN_IF_ERROR(KeepAgentPassword());
    RETURN_IF_ERROR(MakeServerFiles(fs_, layout_, files_));
    ASSIGN_OR_RETURN(passwd_, ReadPasswdFile(fs_, layout_));
    return MakeDirectories(fs_, layout_.etcd(), 0700);
  }

  // The cluster's agents may have a token of their own, which this server was not told. A lone server is told all there is.
  Status KeepAgentPassword() {
    const bool one_of_several =
        !options_.server_url.empty() || !ReadKnownServers(fs_, layout_).empty();
    if (!files_.tokens.agent_password.empty() || !one_of_several) return OkStatus();
    ASSIGN_OR_RETURN(files_.tokens.agent_password, OwnAgentPassword(fs_, layout_));
    return OkStatus();
  }

  StatusOr<std::string> MemberName() {
    auto name = ReadFile(fs_, layout_.etcd_name(), kSmallFileMax);
    if (name.ok() && !Trim(*name).empty()) return std::string(Trim(*name));
    if (!name.ok() && !absl::IsNotFound(name.status())) return name.status();
    return WriteNewMemberName(fs_, layout_.etcd_name(), node_name_, context_.random);
  }

  std::vector<Route> AllRoutes() {
    std::vector<Route> routes = SupervisorRoutes(*this, context_.distribution.label_domain);
    for (Route& route : ClusterRoutes(*cluster_, context_.distribution.name))
      routes.push_back(std::move(route));
    return routes;
  }

  StatusOr<std::unique_ptr<HttpServer>> StartListener() {
    return StartSupervisor(
        options_, context_, layout_,
        [this](const std::string& user, const Secret& password) {
          const MutexLock lock(tokens_mutex_);
          return passwd_.RoleOf(user, password);
        },
        AllRoutes());
  }

  Status BecomeReady(const ServiceNotifier& notifier) {
    notifier.Send("STATUS=waiting for etcd");
    RETURN_IF_ERROR(keeper_->WaitHealthy(context_.stop));
    Status saved = SaveBootstrap();
    // The leader may go, or another server may do the same.
    while (etcd::MayPass(saved) || absl::IsAlreadyExists(saved)) {
      LogWarn("The bootstrap data are not saved yet: {}", MessageOf(saved));
      if (!context_.clock.Sleep(kTick, context_.stop)) return CancelledError("stopped");
      RETURN_IF_ERROR(keeper_->WaitHealthy(context_.stop));
      saved = SaveBootstrap();
    }
    RETURN_IF_ERROR(saved);
    if (const Status registered = cluster_->Register(); !registered.ok())
      LogWarn("This node's record is not written yet: {}", MessageOf(registered));
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
    // The next start reads them in etcd's database file, before etcd runs.
    return etcd::CommitToFile(*client, context_.stop);
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
    WaitForEnd(context_, notifier, give_up);
    return keeper_->failure();
  }

  // What opens a snapshot that is taken now. Without an answer: ours, and the snapshot will fail too.
  std::string TokenHashOfDatastore() {
    const std::string own = [&] {
      const MutexLock lock(tokens_mutex_);
      return TokenHash(files_.tokens.password);
    }();
    std::vector<std::string> keys;
    if (const auto client = keeper_->client(); client.ok()) {
      const auto records = (*client)->GetPrefix(std::string(kBootstrapKeyPrefix));
      for (const etcd::KeyRecord& record : records.value_or(std::vector<etcd::KeyRecord>()))
        keys.push_back(record.key);
    }
    return OpeningTokenHash(keys, own);
  }

  const ServerOptions& options_;
  const ServerContext& context_;
  FileSystem& fs_;
  const DataLayout layout_;
  Metrics metrics_;
  std::string node_name_, binary_;
  Secret token_;  // as given
  ServerFilesOptions files_;
  PasswdFile passwd_;
  Mutex tokens_mutex_;  // while serving: of passwd_ and files_.tokens
  std::optional<InterruptedRestore> interrupted_;
  std::atomic<bool> ready_ = false, stopping_ = false;
  std::unique_ptr<EtcdKeeper> keeper_;
  std::unique_ptr<SnapshotService> snapshots_;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace

Status PlanServerReset(const ServerOptions& options, const ServerContext& context,
                       const std::string& scratch_directory, ResetPlan& plan) {
  return Server(options, context).PlanReset(scratch_directory, plan);
}

Status RunServer(const ServerOptions& options, const ServerContext& context) {
  if (!options.datastore.endpoint.empty()) return RunDatastoreServer(options, context);
  return Server(options, context).Run();
}

}  // namespace holdfast
