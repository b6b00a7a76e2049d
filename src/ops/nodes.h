// The nodes of a cluster as the datastore knows them, and what it takes to remove one.
//
//   <prefix>nodes/<name>   NodeRecord (protocol/cluster_api.h), for ever; written only when it is not so already
//   <prefix>alive/<name>   the id of the lease (hex) that it hangs on; gone 40 s after the node was last heard of
//   <prefix>removed/<name> the run of an agent that was removed: it may not register again, a new start of it may
//
// `prefix` is the distribution's etcd_key_prefix. A server says itself that it lives, an agent through a server.
#pragma once

#include <string>
#include <vector>

#include "etcd/client.h"
#include "protocol/cluster_api.h"

namespace holdfast {

inline constexpr absl::Duration kAliveFor = absl::Seconds(40);

// Brings the record up to date; `created` of one that is there stays. kAlreadyExists: the name is that of a node of another
// role. kPermissionDenied: it is an agent that was removed, and still runs.
Status RegisterNode(etcd::Client& client, const std::string& prefix, NodeRecord node);
Status KeepNodeAlive(etcd::Client& client, const std::string& prefix, const std::string& name);
// Record and life go; an agent that still runs stays out.
Status ForgetNode(etcd::Client& client, const std::string& prefix, const std::string& name);

struct RegisteredNode {
  NodeRecord node;
  bool alive = false;
};
// By name. A record that cannot be read is left out, with a warning.
StatusOr<std::vector<RegisteredNode>> ReadNodes(etcd::Client& client, const std::string& prefix);

// `row` is a server as its cluster knows it: its record, its member. It becomes what the server says of itself, if that is
// this server: the cluster it was restored from has the same CA and token and may still run at the same addresses.
// `cluster_id` (hex) is the row's cluster; what is empty of it and of the row's member id is not known, and not compared.
void TakeAnswer(NodeStatus& row, NodeStatus answer, const std::string& cluster_id);

// A member as a removal sees it.
struct MemberHealth {
  etcd::MemberInfo member;
  bool healthy = false;  // answers, and has a leader
};

// May the node be removed? OK, or kFailedPrecondition with a hint: it is the last voter; the voters that are left would be
// no quorum; it does not answer and `force` is not set (it may be cut off and still serve reads). kNotFound: no such node.
// A node without member (an agent, or one of the cluster a snapshot came from) may always go.
Status MayRemove(const std::string& node, const std::vector<MemberHealth>& members,
                 bool is_registered, bool force);

// What a member is called among nodes: its name without the suffix, or its id (hex) while it has not started.
std::string NodeNameOf(const etcd::MemberInfo& member);
// The member of a node. Null if it has none.
const etcd::MemberInfo* MemberOfNode(const std::vector<etcd::MemberInfo>& members,
                                     const std::string& node);

}  // namespace holdfast
