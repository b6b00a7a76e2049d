#include "restore/former_cluster.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/path.h"
#include "formats/bbolt/patch.h"

namespace holdfast {

StatusOr<std::optional<WalIdentity>> ReadIdentity(FileSystem& fs, const std::string& wal_dir) {
  const auto entries = fs.List(wal_dir);
  if (absl::IsNotFound(entries.status())) return std::optional<WalIdentity>();
  RETURN_IF_ERROR(entries.status());
  std::string newest;  // names are sorted by sequence
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(".wal")) newest = JoinPath(wal_dir, entry.name);
  }
  if (newest.empty()) return std::optional<WalIdentity>();
  ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(newest));
  std::vector<std::uint8_t> head(kWalHeadBytes);
  ASSIGN_OR_RETURN(const std::size_t size, file->ReadAt(0, head));
  const auto identity = ReadWalIdentity(ByteSpan(head).first(size));
  if (!identity) return DataLossError("{} does not begin as a WAL segment of etcd", newest);
  return identity;
}

StatusOr<std::vector<Member>> ReadMembers(FileSystem& fs, const std::string& database) {
  ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(database));
  ASSIGN_OR_RETURN(const bbolt::Database opened, bbolt::Database::Open(*file));
  ASSIGN_OR_RETURN(const bbolt::Patch buckets, bbolt::Patch::Begin(opened));
  ASSIGN_OR_RETURN(const bbolt::Patch::Entries members, buckets.ReadBucket("members"));
  return MembersFrom(members);
}

std::vector<Member> MembersFrom(const std::map<std::string, std::string>& bucket) {
  std::vector<Member> out;
  for (const auto& [id, text] : bucket) {
    const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("id") || !json["id"].is_number_unsigned()) continue;
    Member member{.id = json["id"], .name = "", .peer_urls = {}};
    // A member that was added and never started has no name.
    if (json.contains("name") && json["name"].is_string()) member.name = json["name"];
    if (json.contains("peerURLs") && json["peerURLs"].is_array()) {
      for (const auto& url : json["peerURLs"]) {
        if (url.is_string()) member.peer_urls.push_back(url);
      }
    }
    out.push_back(std::move(member));
  }
  std::sort(out.begin(), out.end(), [](const Member& a, const Member& b) { return a.id < b.id; });
  return out;
}

}  // namespace holdfast
