// The supervisor's endpoints about the cluster (protocol/cluster_api.h), and what they need from the server behind them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http_server.h"
#include "protocol/cluster_api.h"

namespace holdfast {

// Implemented by the server. Called from worker threads; each call ends within seconds, except RemoveNode (minutes).
class ClusterBackend {
 public:
  virtual ~ClusterBackend() = default;

  virtual StatusOr<ClusterInfo> Info() = 0;
  // The bootstrap map as JSON; secret.
  virtual StatusOr<Secret> Bootstrap() = 0;
  virtual ClusterConfig Config() = 0;
  virtual NodeStatus Self() = 0;
  virtual StatusOr<std::vector<NodeStatus>> Nodes() = 0;
  // Never waits.
  virtual StatusOr<ServerList> Servers() = 0;
  virtual Status KeepAlive(const NodeRecord& agent) = 0;
  virtual Status RemoveNode(const NodeRemoval& removal) = 0;
  virtual StatusOr<ClientCertificate> MakeClientCertificate(const std::string& node) = 0;
  virtual Status RotateToken(const Secret& token) = 0;
};

// `backend` must outlive the server that gets these. `distribution` is the name in "/v1-<name>/".
std::vector<Route> ClusterRoutes(ClusterBackend& backend, std::string_view distribution);

}  // namespace holdfast
