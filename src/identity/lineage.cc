#include "identity/lineage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kLineageBytesMax = 64 * kKiB;
constexpr std::size_t kIdsMax = 100;

// An id as etcd prints it: 64 bits in hex, without leading zeros.
bool IsId(std::string_view text) {
  return !text.empty() && text.size() <= 16 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

StatusOr<std::vector<std::string>> Read(FileSystem& fs, const std::string& path) {
  std::vector<std::string> ids;
  const auto text = ReadFile(fs, path, kLineageBytesMax);
  if (absl::IsNotFound(text.status())) return ids;
  const auto damaged = [&](std::string_view why) {
    return WithHint(
        DataLossError("{} is damaged: {}", path, why),
        fmt::format("It tells which data are from before a reset. If you remove it, a server that "
                    "still has such data is no longer recognised: first make sure that none "
                    "starts again with its old {}.",
                    DirName(path)));
  };
  if (text.status().code() == StatusCode::kResourceExhausted) return damaged("it is too large");
  RETURN_IF_ERROR(text.status());
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("former") || !json["former"].is_array())
    return damaged("it has no list \"former\"");
  for (const auto& id : json["former"]) {
    if (!id.is_string() || !IsId(id.get<std::string>())) return damaged("it holds no cluster ids");
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

StatusOr<std::vector<std::string>> ReadFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                                                        const std::string& current_id) {
  ASSIGN_OR_RETURN(std::vector<std::string> ids, Read(fs, layout.lineage()));
  std::erase(ids, current_id);
  return ids;
}

Status AddFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                           const std::vector<std::string>& ids) {
  ASSIGN_OR_RETURN(const std::vector<std::string> before, Read(fs, layout.lineage()));
  std::vector<std::string> all = before;
  for (const std::string& id : ids) {
    if (IsId(id) && std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  }
  if (all == before) return OkStatus();
  if (all.size() > kIdsMax) all.erase(all.begin(), all.end() - kIdsMax);
  return SetFormerClusterIds(fs, layout, all);
}

Status SetFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                           const std::vector<std::string>& ids) {
  if (!ids.empty()) {
    const nlohmann::json json = {{"former", ids}};
    return WriteFileAtomically(fs, layout.lineage(), json.dump() + "\n", 0600);
  }
  const Status removed = fs.RemoveFile(layout.lineage());
  if (absl::IsNotFound(removed)) return OkStatus();
  RETURN_IF_ERROR(removed);
  return fs.SyncDirectory(layout.db());
}

}  // namespace holdfast
