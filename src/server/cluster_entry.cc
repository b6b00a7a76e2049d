#include "server/cluster_entry.h"

#include "base/log.h"
#include "etcd/health.h"
#include "identity/lineage.h"
#include "ops/fence.h"
#include "server/ask_servers.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kPemBytesMax = 1 * kMiB;
// A verdict that takes a member's data out of use is asked for again.
constexpr absl::Duration kAskAgainAfter = absl::Seconds(3);
constexpr absl::Duration kJoinCallTimeout = absl::Seconds(20);

}  // namespace

SupervisorAccess PeerAccess(const ClusterSetup& setup, const Secret& password) {
  return {.user = "server",
          .password = password,
          .ca_pem = ReadFile(setup.fs, JoinPath(setup.layout.tls(), "server-ca.crt"), kPemBytesMax)
                        .value_or("")};
}

StatusOr<etcd::ClientOptions> EtcdAccess(FileSystem& fs, const DataLayout& layout,
                                         absl::Duration timeout) {
  const auto read = [&](const char* name) {
    return ReadFile(fs, JoinPath(layout.etcd_tls(), name), kPemBytesMax);
  };
  etcd::ClientOptions options{.endpoint = "", .call_timeout = timeout};
  ASSIGN_OR_RETURN(options.ca_pem, read("server-ca.crt"));
  ASSIGN_OR_RETURN(options.certificate_pem, read("client.crt"));
  ASSIGN_OR_RETURN(std::string key, read("client.key"));
  options.key_pem = Secret(std::move(key));
  return options;
}

JoinRequest ClusterEntry::Request() const {
  return {.server_url = setup_.server_url,
          .token = setup_.token,
          .distribution = std::string(setup_.distribution.name),
          .node_name = setup_.node_name,
          .peer_url = setup_.peer_url,
          .config = setup_.config,
          .stop = setup_.stop};
}

Status ClusterEntry::Prepare(const Secret& password) {
  RETURN_IF_ERROR(LeaveTombstone());
  ASSIGN_OR_RETURN(const auto own, ReadOwnData(setup_.fs, setup_.layout));
  if (own && setup_.rejoin) {
    RETURN_IF_ERROR(Rejoin(*own));
  } else if (own) {
    RETURN_IF_ERROR(CheckFence(*own, password));
  }
  ASSIGN_OR_RETURN(const bool has_data, Exists(setup_.fs, setup_.layout.etcd_wal()));
  if (setup_.server_url.empty())
    return has_data ? OkStatus() : CheckEmptyStart(setup_.fs, setup_.layout);
  return has_data ? Reconcile() : FetchToJoin();
}

Status ClusterEntry::LeaveTombstone() {
  FileSystem& fs = setup_.fs;
  ASSIGN_OR_RETURN(const bool removed, Exists(fs, setup_.layout.tombstone()));
  if (!removed) return OkStatus();
  if (setup_.server_url.empty()) {
    return WithHint(
        PermissionDeniedError("tombstone file has been detected but --server is empty: this server "
                              "was removed from its cluster ({})",
                              setup_.layout.tombstone()),
        "With --server it joins the cluster again; its data are set aside then.");
  }
  RETURN_IF_ERROR(Fetch());
  ASSIGN_OR_RETURN(const std::string aside,
                   SetDataAside(fs, setup_.layout, "etcd-backup", setup_.clock.Now()));
  LogWarn("This server was removed from the cluster; its data are now in {}, and it joins again",
          aside);
  return RemoveOldBackups(fs, setup_.layout);
}

Status ClusterEntry::Rejoin(const OwnData& own) {
  RETURN_IF_ERROR(Fetch());
  switch (StandingWith(own, cluster_->info)) {
    case Standing::kMember:
      LogInfo("The data here are those of the cluster at {}; --rejoin has nothing to do",
              setup_.server_url);
      return OkStatus();
    case Standing::kUnknown:
      // Our cluster without a quorum, after a power cut: if all waited for its word, there would never be one.
      if (cluster_->info.cluster_id == own.cluster_id) {
        LogInfo("The data here are those of the cluster at {}, which has no quorum yet",
                setup_.server_url);
        return OkStatus();
      }
      return UnavailableError("{} does not say yet which cluster it is, nothing was moved",
                              setup_.server_url);
    case Standing::kPeerIsOld:
      return FailedPreconditionError(
          "the data at {} are from before a reset of the cluster that the data here are of: this "
          "server is the newer one, nothing was moved",
          setup_.server_url);
    default:
      break;
  }
  ASSIGN_OR_RETURN(const std::string aside,
                   SetDataAside(setup_.fs, setup_.layout, "etcd-old", setup_.clock.Now()));
  LogInfo("The data of cluster {} were moved to {}; joining cluster {}", own.cluster_id, aside,
          cluster_->info.cluster_id);
  return OkStatus();
}

Status ClusterEntry::CheckFence(const OwnData& own, const Secret& password) {
  std::vector<KnownServer> servers = ReadKnownServers(setup_.fs, setup_.layout);
  std::erase_if(servers, [&](const KnownServer& s) { return s.url == setup_.server_url; });
  if (!setup_.server_url.empty()) servers.insert(servers.begin(), {"", setup_.server_url});
  if (servers.empty()) return OkStatus();
  const SupervisorAccess access = PeerAccess(setup_, password);
  const std::string program(setup_.distribution.name);
  FenceVerdict verdict =
      JudgeAnswers(own, AskForInfo(setup_, servers, access), setup_.server_url, program);
  if (verdict.standing == Standing::kRemoved && setup_.clock.Sleep(kAskAgainAfter, setup_.stop))
    verdict = JudgeAnswers(own, AskForInfo(setup_, servers, access), setup_.server_url, program);
  if (verdict.standing != Standing::kRemoved || setup_.server_url.empty()) return verdict.refusal;
  RETURN_IF_ERROR(setup_.fs.OpenOrCreate(setup_.layout.tombstone(), 0600).status());
  return LeaveTombstone();
}

Status ClusterEntry::Reconcile() {
  if (cluster_) return OkStatus();
  auto http = setup_.make_http();
  auto cluster = AskCluster(*http, Request());
  if (cluster.ok()) {
    // Not fatal: a setting is changed on one server after the other.
    if (const std::string differences = Differences(setup_.config, cluster->config);
        !differences.empty())
      LogWarn("critical configuration value mismatch between servers: {}", differences);
    bootstrap_ = std::move(cluster->bootstrap);
    LogInfo("Successfully reconciled with remote datastore");
    return OkStatus();
  }
  if (absl::IsUnauthenticated(cluster.status()) || absl::IsPermissionDenied(cluster.status()))
    return cluster.status();
  LogWarn("{} does not tell; going on with what this server has: {}", setup_.server_url,
          MessageOf(cluster.status()));
  return OkStatus();
}

// The cluster at --server, once; waits for its answer.
Status ClusterEntry::Fetch() {
  if (cluster_) return OkStatus();
  if (setup_.token.empty()) {
    return WithHint(
        InvalidArgumentError("--token is required to join the cluster at {}", setup_.server_url),
        "It is in server/token below the data directory of each server of the cluster.");
  }
  auto http = setup_.make_http();
  ASSIGN_OR_RETURN(cluster_, FetchCluster(setup_.clock, *http, Request()));
  bootstrap_ = std::move(cluster_->bootstrap);
  return OkStatus();
}

Status ClusterEntry::FetchToJoin() {
  LogInfo("Joining the cluster at {}", setup_.server_url);
  RETURN_IF_ERROR(Fetch());
  joins_ = true;
  std::vector<std::string> former = cluster_->info.former_cluster_ids;
  return AddFormerClusterIds(setup_.fs, setup_.layout, former);
}

StatusOr<std::string> ClusterEntry::Join(const std::string& member_name) {
  const auto http = setup_.make_http();
  SupervisorClient supervisor(*http, setup_.server_url, cluster_->access);
  const auto connect =
      [&](const std::vector<std::string>& urls) -> StatusOr<std::unique_ptr<etcd::Client>> {
    ASSIGN_OR_RETURN(const auto options, EtcdAccess(setup_.fs, setup_.layout, kJoinCallTimeout));
    return etcd::ConnectToHealthy(options, urls);
  };
  return AddSelf(setup_.clock, supervisor, connect, Request(), member_name);
}

}  // namespace holdfast
