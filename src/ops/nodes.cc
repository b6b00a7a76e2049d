#include "ops/nodes.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/log.h"
#include "ops/former_peers.h"

namespace holdfast {
namespace {

std::string NodeKey(const std::string& prefix, const std::string& name) {
  return prefix + "nodes/" + name;
}
std::string AliveKey(const std::string& prefix, const std::string& name) {
  return prefix + "alive/" + name;
}

std::string RemovedKey(const std::string& prefix, const std::string& name) {
  return prefix + "removed/" + name;
}

std::optional<etcd::LeaseId> ParseLease(const std::string& text) {
  etcd::LeaseId id = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id, 16);
  return error == std::errc() && rest == end && id > 0 ? std::optional(id) : std::nullopt;
}

Status CheckNotRemoved(etcd::Client& client, const std::string& prefix, const NodeRecord& node) {
  if (node.role != kAgentRole) return OkStatus();  // servers are members, or not
  const std::string key = RemovedKey(prefix, node.name);
  const auto removed = client.Get(key);
  if (absl::IsNotFound(removed.status())) return OkStatus();
  RETURN_IF_ERROR(removed.status());
  if (removed->value != node.run) return client.Delete(key);
  return WithHint(PermissionDeniedError("agent {} was removed from the cluster", node.name),
                  "Started again it registers anew.");
}

}  // namespace

Status RegisterNode(etcd::Client& client, const std::string& prefix, NodeRecord node) {
  const std::string key = NodeKey(prefix, node.name);
  const auto present = client.Get(key);
  if (present.ok()) {
    if (const auto known = NodeRecord::Decode(present->value); known.ok()) {
      if (known->role != node.role) {
        return WithHint(AlreadyExistsError("there is a node {} already, in the role {}", node.name,
                                           known->role),
                        "Give this one another name with --node-name, or remove the other with "
                        "node remove.");
      }
      node.created = known->created;
      if (*known == node) return OkStatus();
    }
  } else if (!absl::IsNotFound(present.status())) {
    return present.status();
  }
  RETURN_IF_ERROR(CheckNotRemoved(client, prefix, node));
  return client.Put(key, node.Encode());
}

Status KeepNodeAlive(etcd::Client& client, const std::string& prefix, const std::string& name) {
  const std::string key = AliveKey(prefix, name);
  const auto present = client.Get(key);
  if (present.ok()) {
    if (const auto lease = ParseLease(present->value)) {
      const Status kept = client.KeepLeaseAlive(*lease);
      if (!absl::IsNotFound(kept)) return kept;
    }
  } else if (!absl::IsNotFound(present.status())) {
    return present.status();
  }
  ASSIGN_OR_RETURN(const etcd::LeaseId lease, client.GrantLease(kAliveFor));
  return client.Put(key, fmt::format("{:x}", lease), lease);
}

Status ForgetNode(etcd::Client& client, const std::string& prefix, const std::string& name) {
  if (const auto record = client.Get(NodeKey(prefix, name)); record.ok()) {
    if (const auto node = NodeRecord::Decode(record->value); node.ok() && node->role == kAgentRole)
      RETURN_IF_ERROR(client.Put(RemovedKey(prefix, name), node->run));
  } else if (!absl::IsNotFound(record.status())) {
    return record.status();
  }
  RETURN_IF_ERROR(client.Delete(NodeKey(prefix, name)));
  return client.Delete(AliveKey(prefix, name));
}

StatusOr<std::vector<RegisteredNode>> ReadNodes(etcd::Client& client, const std::string& prefix) {
  ASSIGN_OR_RETURN(const auto alive, client.GetPrefix(AliveKey(prefix, "")));
  ASSIGN_OR_RETURN(const auto records, client.GetPrefix(NodeKey(prefix, "")));
  std::set<std::string> living;
  for (const etcd::KeyRecord& record : alive) living.insert(record.key);
  std::vector<RegisteredNode> out;
  for (const etcd::KeyRecord& record : records) {
    auto node = NodeRecord::Decode(record.value);
    if (!node.ok()) {
      LogWarn("The datastore's {} cannot be read: {}", record.key, MessageOf(node.status()));
      continue;
    }
    const bool lives = living.contains(AliveKey(prefix, node->name));
    out.push_back({*std::move(node), lives});
  }
  return out;
}

std::string NodeNameOf(const etcd::MemberInfo& member) {
  return member.name.empty() ? MemberIdText(member.id) : NodeOfMember(member.name);
}

const etcd::MemberInfo* MemberOfNode(const std::vector<etcd::MemberInfo>& members,
                                     const std::string& node) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& member) { return NodeNameOf(member) == node; });
  return found == members.end() ? nullptr : &*found;
}

void TakeAnswer(NodeStatus& row, NodeStatus answer, const std::string& cluster_id) {
  row.ready = false;
  if (answer.node.name != row.node.name) {
    row.reason = fmt::format("{} answers at its address", answer.node.name);
  } else if (!answer.cluster_id.empty() && !cluster_id.empty() && answer.cluster_id != cluster_id) {
    row.reason = fmt::format("it serves another cluster ({})", answer.cluster_id);
  } else if (!row.member_id.empty() && answer.member_id != row.member_id) {
    row.reason = answer.member_id.empty()
                     ? answer.reason
                     : fmt::format("it is another member now ({})", answer.member_id);
  } else {
    if (row.node.created != absl::UnixEpoch()) answer.node.created = row.node.created;
    row = std::move(answer);
  }
}

Status MayRemove(const std::string& node, const std::vector<MemberHealth>& members,
                 bool is_registered, bool force) {
  const MemberHealth* target = nullptr;
  std::size_t voters_left = 0, healthy_left = 0;
  for (const MemberHealth& m : members) {
    if (NodeNameOf(m.member) == node) {
      target = &m;
    } else if (!m.member.is_learner) {
      ++voters_left;
      healthy_left += m.healthy ? 1 : 0;
    }
  }
  if (target == nullptr)
    return is_registered ? OkStatus() : NotFoundError("there is no node {}", node);
  if (voters_left == 0 && !target->member.is_learner) {
    return WithHint(FailedPreconditionError("{} is the last voter of the cluster", node),
                    "Without it there is no cluster. To move it to another host, restore a "
                    "snapshot there.");
  }
  const std::size_t quorum_left = voters_left / 2 + 1;
  if (healthy_left < quorum_left) {
    return WithHint(
        FailedPreconditionError(
            "without {} only {} of {} voters would be healthy, a quorum needs {}", node,
            healthy_left, voters_left, quorum_left),
        "Bring another server back first. If that is impossible, cluster-reset on a survivor goes "
        "on with what is left.");
  }
  if (!target->healthy && !force) {
    return WithHint(
        FailedPreconditionError("{} does not answer, so it cannot be told to leave", node),
        "If it is gone for good, use --force. The risk: if it is only cut off, it serves old data "
        "to whoever reads from it without quorum, until it learns that it was removed.");
  }
  return OkStatus();
}

}  // namespace holdfast
