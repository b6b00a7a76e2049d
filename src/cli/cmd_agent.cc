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

constexpr absl::Duration kTick = absl::Seconds(1);

// Calls supervisors for the agent. A token that is no server's and no agents' is told by the answers.
class Supervisors final : public SupervisorApi {
 public:
  Supervisors(SupervisorAccess access, NodeRecord self, std::string distribution)
      : access_(std::move(access)),
        self_(std::move(self)),
        distribution_(std::move(distribution)),
        http_(MakeHttpClient()) {}

  StatusOr<ClusterView> Look(const std::string& url) override {
    ASSIGN_OR_RETURN(ServerList list, To(url).Servers(distribution_));
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
    return To(url).KeepAlive(distribution_, self_);
  }

 private:
  SupervisorClient To(const std::string& url) {
    SupervisorClient client(*http_, url, access_);
    client.SetPatience(kSupervisorCallTimeout);
    return client;
  }

  const SupervisorAccess access_;
  const NodeRecord self_;
  const std::string distribution_;
  const std::unique_ptr<HttpClient> http_;
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

}  // namespace

Status RunAgentCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
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
  ASSIGN_OR_RETURN(SupervisorAccess access, EnrollAgent(fs, clock, *http,
                                                        {.agent_dir = layout.agent(),
                                                         .server_url = settings.server_url,
                                                         .token = settings.token,
                                                         .distribution = distribution,
                                                         .node_name = settings.node_name,
                                                         .stop = context.stop}));
  Supervisors supervisors(std::move(access),
                          {.name = settings.node_name,
                           .role = kAgentRole,
                           .address = settings.address,
                           .version = HOLDFAST_VERSION,
                           .run = SystemRandom().Hex(8)},
                          distribution);
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

}  // namespace holdfast
