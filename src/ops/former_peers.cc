#include "ops/former_peers.h"

#include <algorithm>

#include "base/text.h"
#include "restore/former_cluster.h"

namespace holdfast {

FormerCluster LookAtFormerCluster(FileSystem& fs, const DataLayout& layout) {
  FormerCluster former;
  auto identity = ReadIdentity(fs, layout.etcd_wal());
  former.status = identity.status();
  if (identity.ok()) former.identity = *identity;
  auto members = ReadMembers(fs, layout.etcd_database());
  if (members.ok()) {
    former.members = *std::move(members);
  } else if (!absl::IsNotFound(members.status()) && former.status.ok()) {
    former.status = members.status();
  }
  return former;
}

std::string NodeOfMember(const std::string& member_name) {
  constexpr std::size_t kSuffix = 9;  // "-" and eight hex digits
  if (member_name.size() <= kSuffix) return member_name;
  const std::size_t dash = member_name.size() - kSuffix;
  const bool has_suffix =
      member_name[dash] == '-' &&
      member_name.find_first_not_of("0123456789abcdef", dash + 1) == std::string::npos;
  return has_suffix ? member_name.substr(0, dash) : member_name;
}

std::vector<Member> PeersOf(const std::vector<Member>& members, const SelfAmongMembers& self) {
  std::vector<Member> peers;
  for (const Member& member : members) {
    const auto& urls = member.peer_urls;
    const bool is_self = member.id == self.member_id ||
                         std::find(urls.begin(), urls.end(), self.peer_url) != urls.end() ||
                         (!member.name.empty() && NodeOfMember(member.name) == self.node_name);
    const bool is_known = std::any_of(peers.begin(), peers.end(), [&](const Member& peer) {
      return peer.id == member.id || peer.peer_urls == urls;
    });
    if (!is_self && !is_known) peers.push_back(member);
  }
  return peers;
}

std::vector<std::string> RejoinAdvice(const std::vector<Member>& peers, const RejoinPlace& place) {
  std::vector<std::string> lines;
  for (const Member& peer : peers) {
    lines.push_back(fmt::format(
        "If {} ({}) is to serve in this cluster again, stop it and, when this server has been "
        "started, run there:",
        peer.name.empty() ? "the member without a name" : NodeOfMember(peer.name),
        Join(peer.peer_urls, ", ")));
    lines.push_back(
        fmt::format("  {} server --rejoin --server {}", place.program, place.server_url));
    lines.push_back(fmt::format(
        "  or, which also removes its local snapshots: rm -rf {}/server/db, then {} server "
        "--server {}",
        place.data_dir, place.program, place.server_url));
  }
  return lines;
}

}  // namespace holdfast
