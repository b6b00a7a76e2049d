#include <algorithm>

#include "agent/agent.h"
#include "base/layout.h"
#include "base/log.h"
#include "cli/commands.h"
#include "identity/token_files.h"
#include "ops/enroll_agent.h"
#include "os/service_notify.h"
#include "os/system_clock.h"

namespace holdfast {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1), kRenewalInterval = absl::Minutes(1);

// Calls supervisors for the agent. A token that is no server's and no agents' is told by the answers.
class Supervisors final : public SupervisorApi {
 public:
  // `enrollment` must outlive this.
  Supervisors(AgentAccess access, NodeRecord self, const EnrollRequest& enrollment)
      : access_(std::move(access)),
        self_(std::move(self)),
        enrollment_(enrollment),
        distribution_(enrollment.distribution),
        http_(MakeHttpClient()) {}

  StatusOr<ClusterView> Look(const std::string& url) override {
    ServerList list;
    RETURN_IF_ERROR(access_.Call([&](const SupervisorAccess& as) -> Status {
      ASSIGN_OR_RETURN(list, To(url, as).Servers(distribution_));
      return OkStatus();
    }));
    ClusterView view{.id = std::move(list.cluster_id),
                     .former_ids = std::move(list.former_cluster_ids),
                     .servers = {}};
    for (const NodeRecord& server : list.servers) {
      std::string endpoint = server.client_url;
      if (const auto scheme = endpoint.find("://"); scheme != std::string::npos)
        endpoint.erase(0, scheme + 3);
      if (!endpoint.empty() && !server.supervisor_url.empty())
        view.servers.push_back({server.name, server.supervisor_url, endpoint});
    }
    return view;
  }

  Status KeepAlive(const std::string& url) override {
    RETURN_IF_ERROR(access_.Call(
        [&](const SupervisorAccess& as) { return To(url, as).KeepAlive(distribution_, self_); }));
    RenewCertificate(url);
    return OkStatus();
  }

 private:
  // By a server that has just answered: a second call within KeepAlive(), once in eight months.
  void RenewCertificate(const std::string& url) {
    if (SystemClock().Steady() < renew_at_) return;
    renew_at_ = SystemClock().Steady() + kRenewalInterval;
    SupervisorClient client = To(url, access_.access());
    const Status renewed =
        RenewAgentCertificate(PosixFileSystem(), SystemClock(), client, enrollment_);
    // best effort: it is tried again, and the present one lasts for weeks
    if (!renewed.ok())
      LogWarn("The client certificate could not be made anew yet: {}", MessageOf(renewed));
  }

  SupervisorClient To(const std::string& url, const SupervisorAccess& as) {
    SupervisorClient client(*http_, url, as);
    client.SetPatience(kSupervisorCallTimeout);
    return client;
  }

  AgentAccess access_;
  const NodeRecord self_;
  const EnrollRequest& enrollment_;
  const std::string distribution_;
  const std::unique_ptr<HttpClient> http_;
  absl::Duration renew_at_ = -absl::InfiniteDuration();
};

struct AgentSettings {
  std::string server_url, node_name, address;
  Secret token;
  int port = 0;
};

StatusOr<AgentSettings> ReadSettings(const CommandContext& context) {
  const Settings& settings = context.settings;
  AgentSettings out{.server_url = settings.Text("server"),
                    .node_name = NodeNameFrom(settings, context.host),
                    .address = context.host.node_address,
                    .token = settings.SecretText("token")};
  while (out.server_url.ends_with('/')) out.server_url.pop_back();
  if (out.server_url.empty()) return InvalidArgumentError("--server is required");
  RETURN_IF_ERROR(CheckServerUrl(out.server_url));
  if (const auto addresses = settings.List("node-ip"); !addresses.empty())
    out.address = addresses.front();
  ASSIGN_OR_RETURN(const std::int64_t port, settings.Integer("etcd-client-port"));
  if (port < 1 || port > 65535)
    return settings.Invalid("etcd-client-port",
                            fmt::format("{} is not a port between 1 and 65535", port));
  out.port = static_cast<int>(port);
  if (const std::string file = settings.Text("token-file"); !file.empty()) {
    ASSIGN_OR_RETURN(out.token,
                     WaitForTokenFile(PosixFileSystem(), SystemClock(), file, context.stop));
  }
  if (out.token.empty())
    return WithHint(InvalidArgumentError("--token is required"),
                    "The token of the cluster's servers or agents; on a server: token show.");
  return out;
}

Status RunAgent(const CommandContext& context) {
  FileSystem& fs = PosixFileSystem();
  Clock& clock = SystemClock();
  ASSIGN_OR_RETURN(const AgentSettings settings, ReadSettings(context));
  const DataLayout layout(DataDirFrom(context.settings, context.distribution, context.host));
  RETURN_IF_ERROR(MakeDirectories(fs, layout.agent(), 0700));
  const std::string distribution(context.distribution.name);
  ASSIGN_OR_RETURN(const auto lock, fs.OpenOrCreate(JoinPath(layout.agent(), "lock"), 0600));
  RETURN_IF_ERROR(lock->TryLock(), "another agent runs on {}", layout.data_dir());
  // The port is taken at once: whether it is free must not depend on the cluster.
  ASSIGN_OR_RETURN(const auto balancer, Balancer::Start({.port = settings.port}));
  LogInfo("Agent {}: etcd's clients on this host reach the cluster at 127.0.0.1:{}",
          settings.node_name, balancer->port());
  const auto http = MakeHttpClient();
  const EnrollRequest enrollment{.agent_dir = layout.agent(),
                                 .server_url = settings.server_url,
                                 .token = settings.token,
                                 .distribution = distribution,
                                 .node_name = settings.node_name,
                                 .stop = context.stop};
  ASSIGN_OR_RETURN(AgentAccess access, EnrollAgent(fs, clock, *http, enrollment));
  Supervisors supervisors(std::move(access),
                          {.name = settings.node_name,
                           .role = kAgentRole,
                           .address = settings.address,
                           .version = HOLDFAST_VERSION,
                           .run = SystemRandom().Hex(8)},
                          enrollment);
  const Agent agent(fs, clock, supervisors, *balancer,
                    {.server_url = settings.server_url,
                     .state_file = JoinPath(layout.agent(),
                                            "etc/" + distribution + "-agent-load-balancer.json")});
  ServiceNotifier notifier;
  notifier.Send("READY=1\nSTATUS=running");
  const absl::Duration tick = std::min(kTick, notifier.watchdog_interval().value_or(kTick));
  while (clock.Sleep(tick, context.stop) && agent.removed().ok()) {
    if (notifier.watchdog_interval()) notifier.Send("WATCHDOG=1");
  }
  notifier.Send("STOPPING=1");
  return agent.removed();
}

}  // namespace

Status RunAgentCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  const Status status = RunAgent(context);
  // Also while it waits for its token or the cluster.
  return absl::IsCancelled(status) && context.stop.stop_requested() ? OkStatus() : status;
}

}  // namespace holdfast
