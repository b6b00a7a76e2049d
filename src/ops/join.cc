#include "ops/join.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "keys/pki.h"
#include "keys/token.h"
#include "ops/former_peers.h"

namespace holdfast {
namespace {

constexpr absl::Duration kFetchTimeout = absl::Minutes(5), kAddTimeout = absl::Minutes(10);
constexpr absl::Duration kRetryInterval = absl::Seconds(1), kReportInterval = absl::Seconds(5);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(15);

// Calls `attempt` until it is OK, fails for a reason that does not pass, or `timeout` is over. Says in the log what it waits
// for.
template <typename Attempt>
Status Insist(Clock& clock, absl::Duration timeout, std::string_view what,
              const std::stop_token& stop, bool (*may_pass)(const Status&),
              const Attempt& attempt) {
  const Deadline deadline(clock, timeout);
  absl::Duration next_report = clock.Steady();
  while (true) {
    const Status status = attempt();
    if (status.ok() || !may_pass(status)) return status;
    if (deadline.passed())
      return DeadlineExceededError("{} did not succeed within {}: {}", what,
                                   FormatGoDuration(timeout), MessageOf(status));
    if (clock.Steady() >= next_report) {
      LogInfo("Waiting to {}: {}", what, MessageOf(status));
      next_report = clock.Steady() + kReportInterval;
    }
    if (!clock.Sleep(kRetryInterval, stop)) return CancelledError("stopped");
  }
}

bool SupervisorMayAnswerLater(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

Status TokenHint(const Status& status) {
  if (!absl::IsUnauthenticated(status)) return status;
  return WithHint(status,
                  "Give the cluster's token with --token; it is in server/token below the "
                  "data directory of each of its servers.");
}

}  // namespace

StatusOr<JoinedCluster> AskCluster(HttpClient& http, const JoinRequest& request) {
  ASSIGN_OR_RETURN(SupervisorClient client,
                   SupervisorClient::Connect(http, request.server_url, request.token));
  client.SetPatience(kAnswerTimeout);
  JoinedCluster out{.access = client.access()};
  ASSIGN_OR_RETURN(out.config, client.Config(request.distribution));
  ASSIGN_OR_RETURN(out.info, client.Info());
  ASSIGN_OR_RETURN(const Secret bootstrap, client.ServerBootstrap(request.distribution));
  ASSIGN_OR_RETURN(out.bootstrap, DecodeBootstrap(bootstrap.reveal()), "bootstrap data of {}",
                   request.server_url);
  return out;
}

StatusOr<JoinedCluster> FetchCluster(Clock& clock, HttpClient& http, const JoinRequest& request) {
  ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(request.token.reveal()));
  JoinedCluster joined;
  const auto attempt = [&]() -> Status {
    ASSIGN_OR_RETURN(joined, AskCluster(http, request));
    const std::string differences = Differences(request.config, joined.config);
    if (differences.empty()) return OkStatus();
    return WithHint(FailedPreconditionError(
                        "critical configuration value mismatch between servers: {}", differences),
                    "All servers of a cluster need the same value.");
  };
  RETURN_IF_ERROR(TokenHint(Insist(
      clock, kFetchTimeout, fmt::format("get the cluster's data from {}", request.server_url),
      request.stop, SupervisorMayAnswerLater, attempt)));
  if (token.ca_hash.empty()) {
    LogWarn(
        "The token has no CA hash: the certificate authority of {} (hash {}) is trusted on first "
        "use. The whole token, as in the file server/token, lets it be checked.",
        request.server_url, CaHash(joined.access.ca_pem).value_or("unknown"));
  }
  return joined;
}

JoinStep DecideJoin(const std::vector<etcd::MemberInfo>& members, const std::string& node_name,
                    const std::string& peer_url) {
  JoinStep step = JoinStep::kAdd;
  for (const etcd::MemberInfo& member : members) {
    const bool started = !member.name.empty();
    const bool ours = std::find(member.peer_urls.begin(), member.peer_urls.end(), peer_url) !=
                      member.peer_urls.end();
    if (started && NodeOfMember(member.name) == node_name) return JoinStep::kDuplicate;
    if (ours) step = started ? JoinStep::kPeerUrlTaken : JoinStep::kUseAgain;
  }
  return step;
}

std::string InitialClusterOf(const std::vector<etcd::MemberInfo>& members,
                             const std::string& member_name, const std::string& peer_url) {
  std::vector<std::string> out;
  for (const etcd::MemberInfo& member : members) {
    for (const std::string& url : member.peer_urls) {
      // etcd wants a name for each; it tells members by their URLs.
      const std::string name = url == peer_url       ? member_name
                               : member.name.empty() ? fmt::format("{:x}", member.id)
                                                     : member.name;
      out.push_back(name + "=" + url);
    }
  }
  return Join(out, ",");
}

StatusOr<std::string> AddSelf(Clock& clock, SupervisorClient& supervisor,
                              const ConnectToMembers& connect, const JoinRequest& request,
                              const std::string& member_name) {
  supervisor.SetPatience(kAnswerTimeout);
  std::string initial_cluster;
  const auto attempt = [&]() -> Status {
    ASSIGN_OR_RETURN(const ClusterInfo info, supervisor.Info());
    std::vector<std::string> client_urls;
    for (const ClusterMember& member : info.members) {
      if (!member.is_learner)
        client_urls.insert(client_urls.end(), member.client_urls.begin(), member.client_urls.end());
    }
    ASSIGN_OR_RETURN(const auto client, connect(client_urls));
    ASSIGN_OR_RETURN(std::vector<etcd::MemberInfo> members, client->ListMembers());
    switch (DecideJoin(members, request.node_name, request.peer_url)) {
      case JoinStep::kDuplicate:
        return WithHint(
            FailedPreconditionError(
                "duplicate node name found, please use a unique name for this node ({})",
                request.node_name),
            fmt::format("If it is this node's own former self, run on a server of the cluster: "
                        "{} node remove {}",
                        request.distribution, request.node_name));
      case JoinStep::kPeerUrlTaken:
        return WithHint(
            FailedPreconditionError("a member of another name has the peer URL {} already",
                                    request.peer_url),
            "Remove that node first (node ls, node remove), or give this one another address with "
            "--node-ip.");
      case JoinStep::kUseAgain:
        LogInfo("This node was added to the cluster before and had not started; that is used");
        break;
      case JoinStep::kAdd: {
        ASSIGN_OR_RETURN(etcd::AddedMember added, client->AddLearner({request.peer_url}));
        LogInfo(
            "Added to the cluster of {} members as a learner ({:x}); its leader promotes it when "
            "it has "
            "caught up",
            members.size(), added.id);
        members = std::move(added.members);
      }
    }
    initial_cluster = InitialClusterOf(members, member_name, request.peer_url);
    return OkStatus();
  };
  RETURN_IF_ERROR(
      Insist(clock, kAddTimeout, "join the etcd cluster", request.stop, etcd::MayPass, attempt),
      "etcd cluster join failed");
  return initial_cluster;
}

}  // namespace holdfast
