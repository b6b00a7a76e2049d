// What lives as long as `holdfast agent`: keeps the load balancer's backends in step with the cluster, and the agent known
// to the cluster. It asks the servers through SupervisorApi, one at a time, and follows what they say:
//
//   every poll_interval   each known server, and the one that --server names: is it ready, of which cluster is it, which
//                         servers has that? Those that answer become the backends.
//   every alive_interval  the first that answered is told that we live.
//
// A backend that misses a poll keeps its connections, but new ones go elsewhere; one that misses kMissesMax in a row, or is
// no server of the cluster any more, is dropped. While nobody answers, all stay as they are.
//
// The agent follows one cluster, by its id. A restore makes a new one that has the CA and the token of the old one, and that
// may still run (a drill, servers that are not fenced yet). Which one to follow is told by each answer:
//
//   the cluster it follows                  its list is used
//   one that names that among its former    followed from now on: it was restored or reset since
//   a former one of that cluster            never followed
//   any other                               followed if it is what --server leads to, and ignored from anybody else
//
// A server of another cluster than the followed one is no backend, whatever lists it.
//
// The servers it knows are remembered in `state_file`, written when they change, so that an agent that starts while the
// server it was told of is down finds the others:
//
//   {"ServerURL":"https://192.0.2.11:9345","ClusterID":"cdf818194e3a8c32","FormerClusterIDs":[],
//    "Servers":[{"Name":"server-1","SupervisorURL":"https://192.0.2.11:9345","Endpoint":"192.0.2.11:2379"}]}
//
// (The place and the use are those of RKE2's agent/etc/rke2-agent-load-balancer.json.) What was remembered for another
// ServerURL is not used. A file that cannot be read is as none: it is only a help. A crash leaves the old or the new file.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/balancer.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "os/file_system.h"

namespace holdfast {

// One server of the cluster.
struct ClusterServer {
  std::string name;            // the node's
  std::string supervisor_url;  // "https://192.0.2.11:9345"
  std::string endpoint;        // of its etcd, as Balancer::SetBackends takes it: "192.0.2.11:2379"
  bool operator==(const ClusterServer&) const = default;
};

// A cluster as one of its servers sees it.
struct ClusterView {
  std::string id;                       // hex
  std::vector<std::string> former_ids;  // what it was before resets
  std::vector<ClusterServer> servers;   // not its agents, nor learners
  bool operator==(const ClusterView&) const = default;
};

// One call to one supervisor. Each returns within kSupervisorCallTimeout, whatever the other side does, and each is called
// from the agent's thread, one at a time. kUnauthenticated: the token is wrong.
inline constexpr absl::Duration kSupervisorCallTimeout = absl::Seconds(2);
class SupervisorApi {
 public:
  virtual ~SupervisorApi() = default;

  // An error unless the server at `url` serves requests now: its etcd has a leader.
  virtual StatusOr<ClusterView> Look(const std::string& url) = 0;
  // Says that this agent lives; registers it if it is not known. kPermissionDenied: it was removed from the cluster.
  virtual Status KeepAlive(const std::string& url) = 0;
};

// One is a hiccup; three, with the pauses between them, are ten seconds.
inline constexpr int kMissesMax = 3;

struct AgentOptions {
  std::string server_url;  // --server: a server, or an address that leads to one
  std::string state_file;  // its directory is made if it is not there
  absl::Duration poll_interval = absl::Seconds(3);
  absl::Duration alive_interval = absl::Seconds(10);  // the lease lasts 40 s
};

class Agent {
 public:
  // Sets the remembered backends and begins to poll. All must outlive this.
  Agent(FileSystem& fs, Clock& clock, SupervisorApi& api, Balancer& balancer, AgentOptions options);
  // Waits for the call that is under way, at most kSupervisorCallTimeout.
  ~Agent();

  // OK when the last poll found a ready server of the cluster and the cluster knows us; else why not.
  Status health() const;
  // Not OK once the cluster said that this agent was removed: it asks nobody any more.
  Status removed() const;

 private:
  void Run(const std::stop_token& stop);
  Status Poll(const std::stop_token& stop);
  void Follow(ClusterView cluster);
  using Ask = std::function<StatusOr<ClusterView>(const std::string& url)>;
  void ChooseBackends(const Ask& ask);
  void UseBackends(std::vector<std::string> endpoints, std::vector<std::string> doubtful);
  void Report(const Status& health);

  FileSystem& fs_;
  Clock& clock_;
  SupervisorApi& api_;
  Balancer& balancer_;
  const AgentOptions options_;

  // Of the thread.
  ClusterView cluster_;  // the one it follows; without id: none yet
  std::vector<std::string> backends_, doubtful_;
  std::map<std::string, int> misses_;  // of backends, by endpoint: polls in a row
  absl::Duration alive_at_ = -absl::InfiniteDuration();

  mutable Mutex mutex_;
  Status health_ HF_GUARDED_BY(mutex_), removed_ HF_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace holdfast
