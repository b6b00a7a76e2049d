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
constexpr char kServerUrl[] = "ServerURL", kClusterId[] = "ClusterID",
               kFormerIds[] = "FormerClusterIDs", kServers[] = "Servers", kName[] = "Name",
               kSupervisorUrl[] = "SupervisorURL", kEndpoint[] = "Endpoint";

std::string EncodeState(const std::string& server_url, const ClusterView& cluster) {
  Json list = Json::array();
  for (const ClusterServer& s : cluster.servers)
    list.push_back({{kName, s.name}, {kSupervisorUrl, s.supervisor_url}, {kEndpoint, s.endpoint}});
  return Json{{kServerUrl, server_url},
              {kClusterId, cluster.id},
              {kFormerIds, cluster.former_ids},
              {kServers, list}}
             .dump(1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

std::string TextAt(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

StatusOr<ClusterView> ReadState(FileSystem& fs, const AgentOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(fs, options.state_file, kStateBytesMax));
  const Json state = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const Json* list = state.is_object() && state.contains(kServers) ? &state[kServers] : nullptr;
  if (list == nullptr || !list->is_array())
    return DataLossError("{} does not hold what the agent wrote", options.state_file);
  ClusterView cluster{.id = TextAt(state, kClusterId), .former_ids = {}, .servers = {}};
  if (TextAt(state, kServerUrl) != options.server_url) return ClusterView();
  if (const auto ids = state.find(kFormerIds); ids != state.end() && ids->is_array()) {
    for (const Json& id : *ids) {
      if (id.is_string()) cluster.former_ids.push_back(id);
    }
  }
  for (const Json& item : *list) {
    ClusterServer server;
    if (item.is_object())
      server = {TextAt(item, kName), TextAt(item, kSupervisorUrl), TextAt(item, kEndpoint)};
    if (server.supervisor_url.empty() || server.endpoint.empty())
      return DataLossError("{} holds a server without its addresses", options.state_file);
    cluster.servers.push_back(std::move(server));
  }
  return cluster;
}

// One round of questions: each server is asked once.
class Round {
 public:
  Round(SupervisorApi& api, std::stop_token stop) : api_(api), stop_(std::move(stop)) {}

  const StatusOr<ClusterView>& Ask(const std::string& url) {
    const auto [it, is_new] = answers_.try_emplace(url, CancelledError("stopped"));
    if (is_new && !stop_.stop_requested()) {
      it->second = api_.Look(url);
      if (it->second.ok() && it->second->servers.empty())
        it->second = InternalError("it knows of no server");
    }
    return it->second;
  }

 private:
  SupervisorApi& api_;
  const std::stop_token stop_;
  std::map<std::string, StatusOr<ClusterView>> answers_;
};

// `a` is what `b` was before a reset.
bool WasOnce(const ClusterView& a, const ClusterView& b) {
  return std::find(b.former_ids.begin(), b.former_ids.end(), a.id) != b.former_ids.end();
}

// The rule of agent.h: should who follows `followed` go over to the other cluster?
bool GoesOver(const ClusterView& followed, const ClusterView& other, bool is_at_server_url) {
  if (followed.id.empty() || WasOnce(followed, other)) return true;
  return is_at_server_url && !WasOnce(other, followed);
}

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
    cluster_ = *std::move(remembered);
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
  for (const ClusterServer& server : cluster_.servers) remembered.push_back(server.endpoint);
  UseBackends(std::move(remembered), {});
  do {
    const Status health = Poll(stop);
    if (stop.stop_requested() || !removed().ok()) return;
    Report(health);
  } while (clock_.Sleep(options_.poll_interval, stop));
}

Status Agent::Poll(const std::stop_token& stop) {
  Round round(api_, stop);
  std::vector<std::string> urls;
  for (const ClusterServer& server : cluster_.servers) urls.push_back(server.supervisor_url);
  if (std::find(urls.begin(), urls.end(), options_.server_url) == urls.end())
    urls.push_back(options_.server_url);

  Status why_not;
  std::string speaker;  // the server whose list is used, and that we tell that we live
  ClusterView cluster = cluster_;
  for (const std::string& url : urls) {
    const auto& said = round.Ask(url);
    if (!said.ok()) {
      why_not = Annotate(said.status(), url);
      continue;
    }
    if (said->id == cluster.id && !speaker.empty()) continue;
    if (said->id != cluster.id && !GoesOver(cluster, *said, url == options_.server_url)) {
      why_not = FailedPreconditionError("{}: it is of cluster {}, and this agent follows {}", url,
                                        said->id, cluster.id);
      continue;
    }
    cluster = *said;
    speaker = url;
  }
  if (!speaker.empty()) Follow(std::move(cluster));
  ChooseBackends([&](const std::string& url) { return round.Ask(url); });

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

void Agent::Follow(ClusterView cluster) {
  if (cluster == cluster_) return;
  if (cluster.id != cluster_.id && !cluster_.id.empty())
    LogWarn("Agent: it follows cluster {} now, {} until now", cluster.id, cluster_.id);
  cluster_ = std::move(cluster);
  Status written = MakeDirectories(fs_, DirName(options_.state_file), 0700);
  if (written.ok())
    written = WriteFileAtomically(fs_, options_.state_file,
                                  EncodeState(options_.server_url, cluster_), 0600);
  // best effort: without it the next start knows --server only.
  if (!written.ok()) LogWarn("The servers cannot be remembered: {}", MessageOf(written));
}

void Agent::ChooseBackends(const Ask& ask) {
  const bool anyone = std::any_of(cluster_.servers.begin(), cluster_.servers.end(), [&](auto& s) {
    const auto said = ask(s.supervisor_url);
    return said.ok() && said->id == cluster_.id;
  });
  std::vector<std::string> use, doubtful;
  std::map<std::string, int> misses;
  for (const ClusterServer& server : cluster_.servers) {
    const auto said = ask(server.supervisor_url);
    if (said.ok()) {
      if (said->id == cluster_.id) use.push_back(server.endpoint);
      continue;
    }
    if (std::find(backends_.begin(), backends_.end(), server.endpoint) == backends_.end()) continue;
    if (anyone) {
      const int missed = misses[server.endpoint] = misses_[server.endpoint] + 1;
      if (missed >= kMissesMax) continue;
      doubtful.push_back(server.endpoint);
    }
    use.push_back(server.endpoint);
  }
  misses_ = std::move(misses);
  UseBackends(std::move(use), std::move(doubtful));
}

void Agent::UseBackends(std::vector<std::string> endpoints, std::vector<std::string> doubtful) {
  if (endpoints == backends_ && doubtful == doubtful_) return;
  const bool is_new = endpoints != backends_;
  backends_ = std::move(endpoints);
  doubtful_ = std::move(doubtful);
  const Status set = balancer_.SetBackends(backends_, doubtful_);
  if (!set.ok()) return LogWarn("The load balancer keeps its servers: {}", MessageOf(set));
  if (is_new) LogInfo("Load balancer: servers are {}", Join(backends_, ", "));
  if (!doubtful_.empty())
    LogWarn("Load balancer: new connections avoid {}, which did not answer", Join(doubtful_, ", "));
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
