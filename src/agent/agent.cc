#include "agent/agent.h"

#include <pthread.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kStateBytesMax = 256 * kKiB;
constexpr char kServerUrl[] = "ServerURL", kServers[] = "Servers", kName[] = "Name",
               kSupervisorUrl[] = "SupervisorURL", kEndpoint[] = "Endpoint";

std::string EncodeState(const std::string& server_url, const std::vector<ClusterServer>& servers) {
  Json list = Json::array();
  for (const ClusterServer& s : servers)
    list.push_back({{kName, s.name}, {kSupervisorUrl, s.supervisor_url}, {kEndpoint, s.endpoint}});
  return Json{{kServerUrl, server_url}, {kServers, list}}.dump(1, ' ', false,
                                                               Json::error_handler_t::replace) +
         "\n";
}

std::string TextAt(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

StatusOr<std::vector<ClusterServer>> ReadState(FileSystem& fs, const AgentOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(fs, options.state_file, kStateBytesMax));
  const Json state = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const Json* list = state.is_object() && state.contains(kServers) ? &state[kServers] : nullptr;
  if (list == nullptr || !list->is_array())
    return DataLossError("{} does not hold what the agent wrote", options.state_file);
  std::vector<ClusterServer> servers;
  if (TextAt(state, kServerUrl) != options.server_url) return servers;
  for (const Json& item : *list) {
    ClusterServer server;
    if (item.is_object())
      server = {TextAt(item, kName), TextAt(item, kSupervisorUrl), TextAt(item, kEndpoint)};
    if (server.supervisor_url.empty() || server.endpoint.empty())
      return DataLossError("{} holds a server without its addresses", options.state_file);
    servers.push_back(std::move(server));
  }
  return servers;
}

// One look at the cluster: each server is asked once whether it is ready.
class Look {
 public:
  explicit Look(SupervisorApi& api, std::stop_token stop) : api_(api), stop_(std::move(stop)) {}

  bool IsReady(const std::string& url) {
    if (stop_.stop_requested()) return false;
    const auto [it, is_new] = asked_.try_emplace(url);
    if (is_new) it->second = Annotate(api_.Ready(url), url);
    if (!it->second.ok()) why_not_ = it->second;
    return it->second.ok();
  }

  // Why the last one was not ready.
  const Status& why_not() const { return why_not_; }

 private:
  SupervisorApi& api_;
  const std::stop_token stop_;
  std::map<std::string, Status> asked_;
  Status why_not_;
};

}  // namespace

Agent::Agent(FileSystem& fs, Clock& clock, SupervisorApi& api, Balancer& balancer,
             AgentOptions options)
    : fs_(fs),
      clock_(clock),
      api_(api),
      balancer_(balancer),
      options_(std::move(options)),
      health_(UnavailableError("no server was asked yet")) {
  if (auto remembered = ReadState(fs_, options_); remembered.ok()) {
    servers_ = *std::move(remembered);
  } else if (remembered.status().code() != StatusCode::kNotFound) {
    LogWarn("The servers known before are not used: {}", MessageOf(remembered.status()));
  }
  thread_ = std::jthread([this](std::stop_token stop) {
    ::pthread_setname_np(::pthread_self(), "agent");
    Run(stop);
  });
}

Agent::~Agent() = default;

Status Agent::health() const {
  const MutexLock lock(mutex_);
  return health_;
}

Status Agent::removed() const {
  const MutexLock lock(mutex_);
  return removed_;
}

void Agent::Run(const std::stop_token& stop) {
  std::vector<std::string> remembered;
  for (const ClusterServer& server : servers_) remembered.push_back(server.endpoint);
  UseBackends(std::move(remembered));
  do {
    const Status health = Poll(stop);
    if (stop.stop_requested() || !removed().ok()) return;
    Report(health);
  } while (clock_.Sleep(options_.poll_interval, stop));
}

Status Agent::Poll(const std::stop_token& stop) {
  Look look(api_, stop);
  std::vector<std::string> urls;
  for (const ClusterServer& server : servers_) urls.push_back(server.supervisor_url);
  if (std::find(urls.begin(), urls.end(), options_.server_url) == urls.end())
    urls.push_back(options_.server_url);

  Status why_not;
  std::string speaker;  // the server that told us the list, and that we tell that we live
  for (const std::string& url : urls) {
    if (!look.IsReady(url)) {
      why_not = look.why_not();
      continue;
    }
    auto servers = api_.Servers(url);
    if (servers.ok() && servers->empty()) servers = InternalError("it knows of no server");
    if (servers.ok()) {
      UseServers(*std::move(servers));
      speaker = url;
      break;
    }
    why_not = Annotate(servers.status(), url);
  }

  std::vector<std::string> ready;
  for (const ClusterServer& server : servers_) {
    if (look.IsReady(server.supervisor_url)) ready.push_back(server.endpoint);
  }
  if (!ready.empty()) UseBackends(std::move(ready));

  if (speaker.empty()) return Annotate(why_not, "no server tells about the cluster");
  if (clock_.Steady() - alive_at_ < options_.alive_interval || stop.stop_requested())
    return OkStatus();
  const Status told = api_.KeepAlive(speaker);
  if (absl::IsPermissionDenied(told)) {
    const MutexLock lock(mutex_);
    removed_ = told;
  }
  RETURN_IF_ERROR(told, "tell {} that this agent lives", speaker);
  alive_at_ = clock_.Steady();
  return OkStatus();
}

void Agent::UseServers(std::vector<ClusterServer> servers) {
  if (servers == servers_) return;
  servers_ = std::move(servers);
  Status written = MakeDirectories(fs_, DirName(options_.state_file), 0700);
  if (written.ok())
    written = WriteFileAtomically(fs_, options_.state_file,
                                  EncodeState(options_.server_url, servers_), 0600);
  // best effort: without it the next start knows --server only.
  if (!written.ok()) LogWarn("The servers cannot be remembered: {}", MessageOf(written));
}

void Agent::UseBackends(std::vector<std::string> endpoints) {
  if (endpoints == backends_) return;
  backends_ = std::move(endpoints);
  const Status set = balancer_.SetBackends(backends_);
  if (set.ok()) return LogInfo("Load balancer: servers are {}", Join(backends_, ", "));
  LogWarn("The load balancer keeps its servers: {}", MessageOf(set));
}

void Agent::Report(const Status& health) {
  Status before = health;
  {
    const MutexLock lock(mutex_);
    std::swap(health_, before);
  }
  if (before == health) return;
  health.ok() ? LogInfo("Agent: connected to the cluster")
              : LogWarn("Agent: {}", MessageOf(health));
}

}  // namespace holdfast
