#include "server/datastore_server.h"

#include <atomic>
#include <optional>
#include <thread>

#include "api/metrics.h"
#include "api/refused_routes.h"
#include "api/routes.h"
#include "base/log.h"
#include "base/text.h"
#include "identity/bootstrap_files.h"
#include "keys/pki.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "ops/datastores.h"
#include "ops/sealed_in_manifests.h"
#include "server/snapshot_service.h"
#include "server/startup.h"

namespace holdfast {
namespace {

// How often the datastore is looked at: when it answers, and when it does not.
constexpr absl::Duration kHealthInterval = absl::Seconds(10), kRetryInterval = absl::Seconds(2);

// It will not get better by itself.
bool Refused(const Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status) ||
         absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsNotFound(status);
}

class DatastoreServer final : public ApiBackend {
 public:
  DatastoreServer(const ServerOptions& options, const ServerContext& context,
                  const DatastoreKind& kind)
      : options_(options),
        context_(context),
        fs_(context.fs),
        kind_(kind),
        layout_(options.data_dir),
        metrics_(context.distribution.metric_prefix) {}

  Status Run() {
    ASSIGN_OR_RETURN(looked_at_, Open());  // or what is wrong with the endpoint itself
    RETURN_IF_ERROR(MakeServerDirectories(fs_, layout_));
    ASSIGN_OR_RETURN(DataDirLock lock, LockDataDir(fs_, layout_));
    const Status status = RunLocked(lock.holder_was_killed);
    Unlock(lock);
    return absl::IsCancelled(status) && context_.stop.stop_requested() ? OkStatus() : status;
  }

  // --- ApiBackend ---

  std::string CaCertificates() override {
    return ReadFile(fs_, JoinPath(layout_.tls(), "server-ca.crt"), kSmallFileMax).value_or("");
  }
  Status Live() override { return OkStatus(); }
  Status Ready() override {
    if (stopping_) return UnavailableError("the server is stopping");
    const MutexLock lock(mutex_);
    return health_;
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
    return list;
  }

 private:
  StatusOr<std::unique_ptr<Datastore>> Open() const {
    return kind_.open({.fs = fs_,
                       .clock = context_.clock,
                       .endpoint = options_.datastore.endpoint,
                       .ca_file = options_.datastore.ca_file,
                       .certificate_file = options_.datastore.certificate_file,
                       .key_file = options_.datastore.key_file});
  }

  Status RunLocked(bool predecessor_was_killed) {
    ASSIGN_OR_RETURN(node_name_, NodeNameOf(options_, context_, layout_));
    RETURN_IF_ERROR(RemoveUnfinishedFiles(fs_, layout_));
    RETURN_IF_ERROR(
        CheckPortsFree({{options_.bind_address, options_.supervisor_port, "supervisor-port"}},
                       context_, predecessor_was_killed));
    RETURN_IF_ERROR(PrepareFiles());
    ASSIGN_OR_RETURN(const std::string cluster_id, CaHash(CaCertificates()), "server CA");
    snapshot_options_ = options_.snapshots;
    if (!snapshot_options_.compression_given)
      snapshot_options_.compression = kind_.default_compression;
    snapshots_ = std::make_unique<SnapshotService>(
        SnapshotServiceContext{.fs = fs_,
                               .clock = context_.clock,
                               .random = context_.random,
                               .metrics = metrics_,
                               .options = snapshot_options_,
                               .open_s3 = context_.open_s3,
                               .node = node_name_,
                               .cluster_id = cluster_id,
                               .token_hash = [this] { return TokenHash(password_); },
                               .bootstrap = [this] { return SealedBootstrap(); },
                               .datastore = [this] { return Open(); },
                               .stop = context_.stop});
    const Status status = Serve();
    snapshots_.reset();
    return status;
  }

  // Certificates for the supervisor and the token that opens it.
  Status PrepareFiles() {
    ASSIGN_OR_RETURN(ServerTokens tokens, ReadTokens(options_, context_, layout_, node_name_));
    password_ = tokens.files.tokens.password;
    if (password_.empty()) {
      password_ = tokens.files.tokens.password = NewPassword(context_.random);
      LogInfo("A new token was made; it is in {}", layout_.token());
    }
    if (options_.token.empty() && options_.token_file.empty()) {
      LogWarn(
          "The token (hash {}) is nowhere but in {}: keep a copy elsewhere, a restore may need it",
          TokenHash(password_), layout_.token());
    }
    RETURN_IF_ERROR(BecomeWhoWeWere());
    tokens.files.certificates.replace_lone_keys = true;
    RETURN_IF_ERROR(MakeServerFiles(fs_, layout_, tokens.files));
    ASSIGN_OR_RETURN(passwd_, ReadPasswdFile(fs_, layout_));
    return OkStatus();
  }

  // A new host with the token of an old one, and its snapshots.
  Status BecomeWhoWeWere() {
    ASSIGN_OR_RETURN(const bool has_cas, HasCas(fs_, layout_));
    if (has_cas) return OkStatus();
    SnapshotPlace place{.fs = fs_, .directory = options_.snapshots.directory, .node = node_name_};
    std::optional<S3Folder> s3;
    if (options_.snapshots.s3.on.value_or(false)) {
      ASSIGN_OR_RETURN(s3, OpenS3(context_.open_s3, options_.snapshots.s3.options));
      place.s3 = &*s3;
    }
    ASSIGN_OR_RETURN(const auto found, FindSealedInManifests(place, password_));
    if (!found) return OkStatus();
    LogInfo("Certificates and credentials are those of the server that took {}", found->snapshot);
    return OverwriteBootstrapFiles(fs_, layout_, found->data, context_.clock.Now()).status();
  }

  Status WaitForDatastore() {
    for (bool told = false;; told = true) {
      const Status status = LookAtDatastore(/*first=*/true);
      if (status.ok() || Refused(status)) return status;
      if (!told) LogWarn("The datastore does not answer yet: {}", MessageOf(status));
      if (!context_.clock.Sleep(kRetryInterval, context_.stop)) return CancelledError("stopped");
    }
  }

  // What is new is logged.
  Status LookAtDatastore(bool first) {
    const StatusOr<DatastoreState> looked = looked_at_->Describe();
    metrics_.SetDatastoreHealthy(looked.ok());
    std::vector<std::string> warnings = looked.ok() ? looked->warnings : warnings_;
    if (first && looked.ok())
      LogInfo("Node {} protects {} {} at {}", node_name_, looked->kind, looked->version,
              looked->location);
    for (const std::string& warning : warnings) {
      if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end())
        LogWarn("Datastore: {}", warning);
    }
    warnings_ = std::move(warnings);
    const MutexLock lock(mutex_);
    if (!first && health_.ok() && !looked.ok())
      LogError("The datastore is not well: {}", MessageOf(looked.status()));
    if (!first && !health_.ok() && looked.ok()) LogInfo("The datastore is well again");
    health_ = looked.status();
    return looked.status();
  }

  Status Serve() {
    std::vector<Route> routes = SupervisorRoutes(*this, context_.distribution.label_domain);
    for (Route& route : RefusedClusterRoutes(
             context_.distribution.name,
             fmt::format("this server protects a datastore that others run ({})", kind_.name)))
      routes.push_back(std::move(route));
    ASSIGN_OR_RETURN(const auto listener,
                     StartSupervisor(
                         options_, context_, layout_,
                         [this](const std::string& user, const Secret& password) {
                           return passwd_.RoleOf(user, password);
                         },
                         std::move(routes)));
    const ServiceNotifier notifier;
    notifier.Send("STATUS=waiting for the datastore");
    RETURN_IF_ERROR(WaitForDatastore());
    LogInfo("{} is up and running", context_.distribution.name);
    notifier.Send("READY=1\nSTATUS=running");
    snapshots_->StartJobs();
    std::jthread watch([this](std::stop_token stop) {
      while (context_.clock.Sleep(Ready().ok() ? kHealthInterval : kRetryInterval, stop))
        (void)LookAtDatastore(/*first=*/false);  // it logs what is new
    });
    WaitForEnd(context_, notifier, {});
    stopping_ = true;
    notifier.Send("STOPPING=1");
    return OkStatus();
  }

  // Of this server itself: the datastore is another's, and keeps nothing of ours. Empty, with a warning, if it cannot be
  // had: the snapshot is worth more.
  std::string SealedBootstrap() {
    auto sealed = [&]() -> StatusOr<std::string> {
      ASSIGN_OR_RETURN(const BootstrapData on_disk, CollectBootstrapFiles(fs_, layout_));
      return Seal(EncodeBootstrap(on_disk), password_, context_.random);
    }();
    if (sealed.ok()) return *std::move(sealed);
    LogWarn("The snapshot's metadata are without this server's bootstrap data: {}",
            MessageOf(sealed.status()));
    return {};
  }

  const ServerOptions& options_;
  const ServerContext& context_;
  FileSystem& fs_;
  const DatastoreKind& kind_;
  const DataLayout layout_;
  // Of LookAtDatastore() alone, one thread at a time. The same one each time: it knows what need not be asked again so soon.
  std::unique_ptr<Datastore> looked_at_;
  Metrics metrics_;
  SnapshotOptions snapshot_options_;
  std::string node_name_;
  Secret password_;
  PasswdFile passwd_;
  std::vector<std::string> warnings_;  // of the last look
  Mutex mutex_;
  Status health_ HF_GUARDED_BY(mutex_) = UnavailableError("the datastore was not asked yet");
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<SnapshotService> snapshots_;
};

}  // namespace

Status RunDatastoreServer(const ServerOptions& options, const ServerContext& context) {
  ASSIGN_OR_RETURN(const DatastoreKind* kind, KindOfEndpoint(options.datastore.endpoint));
  return DatastoreServer(options, context, *kind).Run();
}

}  // namespace holdfast
