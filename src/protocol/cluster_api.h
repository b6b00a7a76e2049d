// What servers, agents and the command line say to each other about the cluster, as JSON:
//
//   GET    /db/info                    ClusterInfo; members in RKE2's shape, the rest is ours
//   GET    /v1-<dist>/lineage          ClusterInfo with ids alone; for anyone (see LineageOnly)
//   GET    /v1-<dist>/server-bootstrap the bootstrap map as it is (keys/bootstrap.h)
//   GET    /v1-<dist>/config           ClusterConfig
//   GET    /v1-<dist>/node             NodeStatus of the server that is asked, also when its etcd has no quorum
//   GET    /v1-<dist>/nodes            {"nodes":[NodeStatus,...]}, collected by the server that is asked
//   GET    /v1-<dist>/servers          ServerList, of a server that is ready: all that agents follow. Answered from memory
//   POST   /v1-<dist>/nodes            NodeRecord: an agent says that it lives; 403: it was removed
//   DELETE /v1-<dist>/nodes            NodeRemoval
//   POST   /v1-<dist>/client-certificate  {"name":...} -> ClientCertificate
//   PUT    /v1-<dist>/token            {"newToken":...}, RKE2's
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

// A member of etcd's cluster. Ids are numbers in JSON here, as RKE2 has them, and hex everywhere else.
struct ClusterMember {
  std::uint64_t id = 0;
  std::string name;  // empty: was added and has not started yet
  std::vector<std::string> peer_urls, client_urls;
  bool is_learner = false;
  bool operator==(const ClusterMember&) const = default;
};

struct ClusterInfo {
  std::vector<ClusterMember> members;
  // Ours; empty if the server is another program.
  std::string cluster_id;                       // hex
  std::vector<std::string> former_cluster_ids;  // what this cluster was before resets
  std::string node_name;                        // of the server that answers

  // The ids without names and addresses. They are no secrets, and whoever verifies the cluster's CA may rely on them: a
  // server must learn that its data are old also from one whose token is another than its own (ops/fence.h).
  ClusterInfo LineageOnly() const;

  std::string Encode() const;
  static StatusOr<ClusterInfo> Decode(std::string_view json);
};

// Settings that all servers must have alike, by name.
struct ClusterConfig {
  std::map<std::string, std::string> values;

  std::string Encode() const;
  static StatusOr<ClusterConfig> Decode(std::string_view json);
};
// Empty if they agree; else each that differs: "election-timeout is 1000 here and 5000 there".
std::string Differences(const ClusterConfig& here, const ClusterConfig& there);

inline constexpr char kServerRole[] = "server", kAgentRole[] = "agent";

// What stays in the datastore about a node. Names are the nodes' own: they are checked before they become keys.
struct NodeRecord {
  std::string name;
  std::string role;  // kServerRole, kAgentRole
  std::string address;
  std::string supervisor_url, client_url;  // the latter of its etcd; empty for agents
  std::string version;                     // of the program
  absl::Time created = absl::UnixEpoch();
  // Of an agent: made at random at its start. One that was removed may come back, but not in the same run.
  std::string run = "";
  bool operator==(const NodeRecord&) const = default;

  std::string Encode() const;
  static StatusOr<NodeRecord> Decode(std::string_view json);
};

// A node as `node ls` shows it.
struct NodeStatus {
  NodeRecord node;
  bool ready = false;
  std::string reason;      // why it is not ready
  std::string member_id;   // hex; empty: it has no etcd member
  std::string cluster_id;  // hex, of the data it has; empty if it did not answer
  bool is_learner = false, is_leader = false;
  std::uint64_t db_bytes = 0;
  std::int64_t revision = 0;
  std::optional<absl::Time> last_snapshot;

  std::string Encode() const;
  static StatusOr<NodeStatus> Decode(std::string_view json);
};
// Indented, with a newline at its end: what `node ls -o json` prints.
std::string EncodeNodes(const std::vector<NodeStatus>& nodes);
StatusOr<std::vector<NodeStatus>> DecodeNodes(std::string_view json);

// The voters of the cluster that a server serves.
struct ServerList {
  std::string cluster_id;                       // hex
  std::vector<std::string> former_cluster_ids;  // what this cluster was before resets
  std::vector<NodeRecord> servers;

  std::string Encode() const;
  static StatusOr<ServerList> Decode(std::string_view json);
};

struct NodeRemoval {
  std::string name;
  bool force = false;

  std::string Encode() const;
  static StatusOr<NodeRemoval> Decode(std::string_view json);
};

// For etcd's client port: the node's certificate with its key, and the CA of the servers' certificates. PEM.
struct ClientCertificate {
  std::string certificate_pem, ca_pem;
  Secret key_pem;

  std::string Encode() const;
  static StatusOr<ClientCertificate> Decode(std::string_view json);
};

std::string EncodeNodeName(const std::string& name);
StatusOr<std::string> DecodeNodeName(std::string_view json);
std::string EncodeNewToken(const Secret& token);
StatusOr<Secret> DecodeNewToken(std::string_view json);

}  // namespace holdfast
