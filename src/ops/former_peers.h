// Who was in the cluster with this node before a reset, and what to do on them now.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/layout.h"
#include "formats/member/raft_files.h"
#include "os/file_system.h"

namespace holdfast {

// The cluster that the data on disk belong to, while etcd does not run.
struct FormerCluster {
  std::optional<WalIdentity> identity;  // nullopt without data
  std::vector<Member> members;
  Status status;  // why some of it is not known, although there are data
};
FormerCluster LookAtFormerCluster(FileSystem& fs, const DataLayout& layout);

// "node-1" of the member name "node-1-0a1b2c3d".
std::string NodeOfMember(const std::string& member_name);

// This node, as members may call it.
struct SelfAmongMembers {
  std::optional<std::uint64_t> member_id;
  std::string peer_url, node_name;
};
// All that are not this node, each once, in the order given.
std::vector<Member> PeersOf(const std::vector<Member>& members, const SelfAmongMembers& self);

struct RejoinPlace {
  std::string program;     // "holdfast"
  std::string data_dir;    // ours; theirs is taken to be the same
  std::string server_url;  // of this node: "https://10.0.0.1:9345"
};
// What a person is told, line by line; empty without peers.
std::vector<std::string> RejoinAdvice(const std::vector<Member>& peers, const RejoinPlace& place);

}  // namespace holdfast
