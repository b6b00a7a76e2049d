#include "sqlite/replace_file.h"

#include <vector>

#include "base/path.h"

namespace holdfast::sqlite {
namespace {

// "<path>-old-<t>" for the first free second from `now` on.
StatusOr<std::string> FreeOldName(FileSystem& fs, const std::string& path, absl::Time now) {
  for (std::int64_t second = absl::ToUnixSeconds(now);; ++second) {
    const std::string name = fmt::format("{}-old-{}", path, second);
    ASSIGN_OR_RETURN(bool taken, Exists(fs, name));
    for (const char* companion : kCompanions) {
      ASSIGN_OR_RETURN(const bool there, Exists(fs, name + companion));
      taken = taken || there;
    }
    if (!taken) return name;
  }
}

// Renames that are undone unless kept.
class SetAside {
 public:
  explicit SetAside(FileSystem& fs) : fs_(fs) {}
  SetAside(const SetAside&) = delete;
  SetAside& operator=(const SetAside&) = delete;
  ~SetAside() {
    // best effort: what cannot be put back lies under its new name
    for (auto i = moved_.rbegin(); i != moved_.rend(); ++i)
      (void)fs_.RenameNoReplace(i->second, i->first);
  }
  Status Move(const std::string& from, const std::string& to) {
    RETURN_IF_ERROR(fs_.RenameNoReplace(from, to));
    moved_.emplace_back(from, to);
    return OkStatus();
  }
  bool empty() const { return moved_.empty(); }
  void Keep() { moved_.clear(); }

 private:
  FileSystem& fs_;
  std::vector<std::pair<std::string, std::string>> moved_;
};

}  // namespace

StatusOr<std::string> ReplaceDatabase(FileSystem& fs, const std::string& path, AtomicFile restored,
                                      absl::Time now) {
  // The steps must reach the disk in their order, so each is synced before the next.
  RETURN_IF_ERROR(restored.file().Sync());
  ASSIGN_OR_RETURN(const bool had_old, Exists(fs, path));
  ASSIGN_OR_RETURN(const std::string old, FreeOldName(fs, path, now));
  SetAside aside(fs);
  for (const char* companion : kCompanions) {
    ASSIGN_OR_RETURN(const bool there, Exists(fs, path + companion));
    if (there) RETURN_IF_ERROR(aside.Move(path + companion, old + companion));
  }
  if (!aside.empty()) RETURN_IF_ERROR(fs.SyncDirectory(DirName(path)));
  if (had_old) {
    RETURN_IF_ERROR(fs.Link(path, old));
    const Status settled = fs.SyncDirectory(DirName(path));
    if (!settled.ok()) {
      (void)fs.RemoveFile(old);  // best effort: only a second name
      return settled;
    }
  }
  const Status placed = restored.Commit();
  // An error after the rename changes nothing of what stands where; only before it there is something to undo.
  const auto unplaced = Exists(fs, path + std::string(kPartSuffix));
  if (!placed.ok() && unplaced.ok() && *unplaced) {
    if (had_old) (void)fs.RemoveFile(old);  // best effort: only a second name
    return placed;
  }
  aside.Keep();
  RETURN_IF_ERROR(placed, "{} is in place, but may not be after a power cut", path);
  return had_old ? old : std::string();
}

}  // namespace holdfast::sqlite
