#include "ops/fence.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "identity/lineage.h"
#include "os/atomic_file.h"
#include "restore/former_cluster.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kServersFileMax = 1 * kMiB;
constexpr std::size_t kBackupsMax = 5;
constexpr std::string_view kBackupPrefix = "etcd-backup-";

std::string ServersFile(const DataLayout& layout) { return JoinPath(layout.db(), "servers.json"); }

bool Contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

Status Refusal(const OwnData& own, const PeerAnswer& answer, Standing standing,
               const std::string& program) {
  const std::string& url = answer.server.url;
  const std::string now = answer.info->cluster_id;
  const std::string token =
      answer.other_token
          ? fmt::format(
                " The token there is another than this server's (as after a restore to a "
                "time before a rotation): give the one that `{} token show` prints there.",
                program)
          : "";
  const std::string rejoin = fmt::format(
      "To join the cluster as it is now, keeping these data aside: {} server --rejoin --server {} "
      "--token TOKEN. Or by hand: stop the server, move server/db/etcd below its data directory "
      "away, and start it with --server {}. Snapshots stay where they are.{}",
      program, url, url, token);
  switch (standing) {
    case Standing::kFormer:
      return WithHint(
          PermissionDeniedError(
              "the data here are of the cluster as it was before a reset (cluster id {}); at {} it "
              "is cluster {} now, and these data must not be served",
              own.cluster_id, url, now),
          rejoin);
    case Standing::kRemoved:
      return WithHint(
          PermissionDeniedError("this server (member {:x}) was removed from the cluster, says {}",
                                own.member_id, url),
          fmt::format("Started again with --server {} it joins as a new member; its data are set "
                      "aside then.{}",
                      url, token));
    case Standing::kForeign:
      return WithHint(PermissionDeniedError("the data here are of another cluster ({}) than that "
                                            "at {} ({}), which --server names",
                                            own.cluster_id, url, now),
                      "If --server is wrong, correct it. " + rejoin);
    default:
      return OkStatus();
  }
}

}  // namespace

StatusOr<std::optional<OwnData>> ReadOwnData(FileSystem& fs, const DataLayout& layout) {
  ASSIGN_OR_RETURN(const auto identity, ReadIdentity(fs, layout.etcd_wal()));
  if (!identity) return std::optional<OwnData>();
  OwnData own{.cluster_id = MemberIdText(identity->cluster_id), .member_id = identity->member_id};
  auto former = ReadFormerClusterIds(fs, layout, own.cluster_id);
  if (!former.ok()) {
    LogError("{}; {}", MessageOf(former.status()), HintOf(former.status()));
  } else {
    own.former_cluster_ids = *std::move(former);
  }
  return std::optional<OwnData>(std::move(own));
}

Standing StandingWith(const OwnData& own, const ClusterInfo& peer) {
  if (peer.cluster_id.empty()) return Standing::kUnknown;
  if (peer.cluster_id == own.cluster_id) {
    if (peer.members.empty()) return Standing::kUnknown;
    const bool member = std::any_of(peer.members.begin(), peer.members.end(),
                                    [&](const auto& m) { return m.id == own.member_id; });
    return member ? Standing::kMember : Standing::kRemoved;
  }
  if (Contains(peer.former_cluster_ids, own.cluster_id)) return Standing::kFormer;
  if (Contains(own.former_cluster_ids, peer.cluster_id)) return Standing::kPeerIsOld;
  return Standing::kForeign;
}

FenceVerdict JudgeAnswers(const OwnData& own, const std::vector<PeerAnswer>& answers,
                          const std::string& server_url, const std::string& program) {
  FenceVerdict verdict;
  // Worst first: who is fenced need not know that he was removed before.
  for (const Standing standing : {Standing::kFormer, Standing::kRemoved, Standing::kForeign}) {
    for (const PeerAnswer& answer : answers) {
      if (!answer.info.ok() || StandingWith(own, *answer.info) != standing) continue;
      if (standing == Standing::kForeign && answer.server.url != server_url) continue;
      return {standing, Refusal(own, answer, standing, program)};
    }
  }
  for (const PeerAnswer& answer : answers) {
    if (answer.info.ok() && StandingWith(own, *answer.info) == Standing::kMember)
      verdict.standing = Standing::kMember;
  }
  return verdict;
}

StatusOr<std::string> SetDataAside(FileSystem& fs, const DataLayout& layout,
                                   const std::string& name, absl::Time now) {
  ASSIGN_OR_RETURN(const bool there, Exists(fs, layout.etcd()));
  if (!there) return std::string();
  for (std::int64_t second = absl::ToUnixSeconds(now);; ++second) {
    const std::string path = JoinPath(layout.db(), fmt::format("{}-{}", name, second));
    ASSIGN_OR_RETURN(const bool taken, Exists(fs, path));
    if (taken) continue;
    RETURN_IF_ERROR(fs.Rename(layout.etcd(), path));
    RETURN_IF_ERROR(fs.SyncDirectory(layout.db()));
    return path;
  }
}

Status RemoveOldBackups(FileSystem& fs, const DataLayout& layout) {
  ASSIGN_OR_RETURN(const auto entries, fs.List(layout.db()));
  std::vector<std::pair<std::int64_t, std::string>> backups;
  for (const DirectoryEntry& entry : entries) {
    if (!entry.name.starts_with(kBackupPrefix)) continue;
    if (const auto second = ParseInt(entry.name.substr(kBackupPrefix.size())))
      backups.emplace_back(*second, entry.name);
  }
  std::sort(backups.rbegin(), backups.rend());
  for (std::size_t i = kBackupsMax; i < backups.size(); ++i) {
    const std::string path = JoinPath(layout.db(), backups[i].second);
    RETURN_IF_ERROR(RemoveTree(fs, path));
    LogInfo("Removed {}: {} newer ones are kept", path, kBackupsMax);
  }
  return OkStatus();
}

Status CheckEmptyStart(FileSystem& fs, const DataLayout& layout) {
  const auto entries = fs.List(layout.db());
  if (absl::IsNotFound(entries.status())) return OkStatus();
  RETURN_IF_ERROR(entries.status());
  std::vector<std::string> signs;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.starts_with(kBackupPrefix)) signs.push_back(JoinPath(layout.db(), entry.name));
  }
  if (!ReadKnownServers(fs, layout).empty()) signs.push_back(ServersFile(layout));
  if (signs.empty()) return OkStatus();
  const std::string all = Join(signs, ", ");
  return WithHint(
      FailedPreconditionError("there is no {}, but {} of a cluster: starting now without --server "
                              "would begin an empty cluster",
                              layout.etcd(), all),
      fmt::format("Give --server to join the cluster again, or restore a snapshot with "
                  "--cluster-reset --cluster-reset-restore-path. If the cluster is not needed any "
                  "more, move {} away.",
                  all));
}

std::vector<KnownServer> ReadKnownServers(FileSystem& fs, const DataLayout& layout) {
  std::vector<KnownServer> out;
  const auto text = ReadFile(fs, ServersFile(layout), kServersFileMax);
  if (!text.ok()) return out;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("servers") || !json["servers"].is_array()) return out;
  for (const auto& server : json["servers"]) {
    if (!server.is_object()) continue;
    const auto name = server.find("name"), url = server.find("supervisorURL");
    if (name != server.end() && name->is_string() && url != server.end() && url->is_string())
      out.push_back({*name, *url});
  }
  return out;
}

Status WriteKnownServers(FileSystem& fs, const DataLayout& layout,
                         const std::vector<KnownServer>& servers) {
  if (ReadKnownServers(fs, layout) == servers) return OkStatus();
  auto list = nlohmann::ordered_json::array();
  for (const KnownServer& server : servers)
    list.push_back({{"name", server.name}, {"supervisorURL", server.url}});
  return WriteFileAtomically(fs, ServersFile(layout),
                             nlohmann::ordered_json{{"servers", list}}.dump(
                                 -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                                 "\n",
                             0600);
}

}  // namespace holdfast
