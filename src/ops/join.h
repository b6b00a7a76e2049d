// How a server without data becomes a member of a cluster: `server --server URL --token T`.
//
//   FetchCluster   the bootstrap data of the server at URL (its CA checked against the token) are written to disk; settings
//                  that must agree are compared
//   (the caller makes this node's own certificates)
//   AddSelf        this node is added to the members as a learner: etcd can be started with the answer
//
// The cluster's leader makes it a voter once it has caught up (server/membership_job.h). A crash at any step: the next
// start does it again. The files are written again, and a member that was added and has never started is used again.
// Source of the steps and messages: K3s pkg/etcd/etcd.go (join), pkg/cluster/bootstrap.go.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/layout.h"
#include "etcd/client.h"
#include "keys/bootstrap.h"
#include "os/file_system.h"
#include "protocol/cluster_api.h"
#include "supervisor_client/supervisor_client.h"

namespace holdfast {

struct JoinRequest {
  std::string server_url;    // --server
  Secret token;              // in any form
  std::string distribution;  // its name
  std::string node_name;
  std::string peer_url;  // ours
  ClusterConfig config;  // our settings that must agree
  std::stop_token stop;
};

// What the cluster told about itself.
struct JoinedCluster {
  SupervisorAccess access;
  ClusterConfig config;
  ClusterInfo info;
  BootstrapData bootstrap;
};

// Asks once; kUnavailable and kDeadlineExceeded: it does not answer.
StatusOr<JoinedCluster> AskCluster(HttpClient& http, const JoinRequest& request);

// Asks until the server answers; says every few seconds why it does not. kDeadlineExceeded after five minutes;
// kUnauthenticated: the token is for another cluster, or wrong; kFailedPrecondition: settings differ.
StatusOr<JoinedCluster> FetchCluster(Clock& clock, HttpClient& http, const JoinRequest& request);

// What a list of members means for a node that wants to join with `peer_url`.
enum class JoinStep {
  kAdd,           // not a member
  kUseAgain,      // was added before, has never started
  kDuplicate,     // another (or a former self) has started under this node name
  kPeerUrlTaken,  // a member of another name has started with this peer URL
};
JoinStep DecideJoin(const std::vector<etcd::MemberInfo>& members, const std::string& node_name,
                    const std::string& peer_url);

// etcd's "initial-cluster" for a start that joins: all members, and `member_name` for ours.
std::string InitialClusterOf(const std::vector<etcd::MemberInfo>& members,
                             const std::string& member_name, const std::string& peer_url);

// A client to any of the members that is fit to serve.
using ConnectToMembers = std::function<StatusOr<std::unique_ptr<etcd::Client>>(
    const std::vector<std::string>& client_urls)>;

// Adds this node and returns etcd's "initial-cluster". Reasons that pass (another learner is not promoted yet, a member is
// not connected, no answer) are waited for, at most ten minutes, and said every few seconds.
StatusOr<std::string> AddSelf(Clock& clock, SupervisorClient& supervisor,
                              const ConnectToMembers& connect, const JoinRequest& request,
                              const std::string& member_name);

}  // namespace holdfast
