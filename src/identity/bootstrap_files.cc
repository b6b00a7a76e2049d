#include "identity/bootstrap_files.h"

#include <map>

#include "base/path.h"
#include "base/text.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 * kMiB;
constexpr absl::Duration kNewerBy = absl::Seconds(3);

Status WriteOne(FileSystem& fs, const std::string& path, const BootstrapFile& file) {
  RETURN_IF_ERROR(MakeDirectories(fs, DirName(path), 0700));
  RETURN_IF_ERROR(WriteFileAtomically(fs, path, file.content, 0600));
  return fs.SetModified(path, file.modified_at);
}

// The files of `stored` that differ on disk or are not there, by path.
struct Difference {
  const BootstrapFile* stored = nullptr;
  bool missing = false;
  absl::Time modified_at;  // on disk
  bool newer() const { return !missing && modified_at >= stored->modified_at + kNewerBy; }
};
StatusOr<std::map<std::string, Difference>> Differences(FileSystem& fs, const DataLayout& layout,
                                                        const BootstrapData& stored) {
  ASSIGN_OR_RETURN(const BootstrapData on_disk, CollectBootstrapFiles(fs, layout));
  std::map<std::string, Difference> out;
  for (const BootstrapPath& known : BootstrapPaths()) {
    const auto wanted = stored.find(std::string(known.key));
    if (wanted == stored.end()) continue;
    const auto here = on_disk.find(wanted->first);
    if (here != on_disk.end() && here->second.content == wanted->second.content) continue;
    Difference difference{.stored = &wanted->second, .missing = here == on_disk.end()};
    if (here != on_disk.end()) difference.modified_at = here->second.modified_at;
    out[JoinPath(layout.server(), known.path)] = difference;
  }
  return out;
}

}  // namespace

StatusOr<BootstrapData> CollectBootstrapFiles(FileSystem& fs, const DataLayout& layout) {
  BootstrapData data;
  for (const BootstrapPath& known : BootstrapPaths()) {
    const std::string path = JoinPath(layout.server(), known.path);
    const auto info = fs.Stat(path);
    if (absl::IsNotFound(info.status())) continue;
    RETURN_IF_ERROR(info.status());
    ASSIGN_OR_RETURN(std::string content, ReadFile(fs, path, kFileBytesMax));
    data[std::string(known.key)] = {std::move(content), info->modified_at};
  }
  return data;
}

StatusOr<std::vector<std::string>> ReconcileBootstrapFiles(FileSystem& fs, const DataLayout& layout,
                                                           const BootstrapData& stored) {
  ASSIGN_OR_RETURN(const auto differences, Differences(fs, layout, stored));
  std::vector<std::string> newer, times;
  for (const auto& [path, difference] : differences) {
    if (!difference.newer()) continue;
    if (path == layout.passwd()) continue;
    newer.push_back(path);
    times.push_back(fmt::format("{} is of {} on disk and of {} in the datastore", path,
                                FormatRfc3339Utc(difference.modified_at),
                                FormatRfc3339Utc(difference.stored->modified_at)));
  }
  if (!newer.empty()) {
    return WithHint(FailedPreconditionError("{} newer than datastore and could cause a cluster "
                                            "outage. Remove the file(s) from disk "
                                            "and restart to be recreated from datastore.",
                                            Join(newer, ", ")),
                    Join(times, "; ") + ".");
  }
  std::vector<std::string> written;
  for (const auto& [path, difference] : differences) {
    if (difference.newer()) continue;
    RETURN_IF_ERROR(WriteOne(fs, path, *difference.stored));
    written.push_back(path);
  }
  return written;
}

StatusOr<std::string> OverwriteBootstrapFiles(FileSystem& fs, const DataLayout& layout,
                                              const BootstrapData& stored, absl::Time now) {
  ASSIGN_OR_RETURN(const auto differences, Differences(fs, layout, stored));
  std::string backup;
  for (const auto& [path, difference] : differences) {
    if (!backup.empty() || difference.missing || !path.starts_with(layout.tls() + "/")) continue;
    for (std::int64_t second = absl::ToUnixSeconds(now); backup.empty(); ++second) {
      const std::string candidate = fmt::format("{}-{}", layout.tls(), second);
      ASSIGN_OR_RETURN(const bool taken, Exists(fs, candidate));
      if (!taken) backup = candidate;
    }
    RETURN_IF_ERROR(CopyTree(fs, layout.tls(), backup));
    RETURN_IF_ERROR(fs.SyncDirectory(layout.server()));
  }
  for (const auto& [path, difference] : differences)
    RETURN_IF_ERROR(WriteOne(fs, path, *difference.stored));
  return backup;
}

}  // namespace holdfast
