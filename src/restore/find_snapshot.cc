#include "restore/find_snapshot.h"

#include <array>

#include "base/path.h"
#include "base/text.h"
#include "stream/compression.h"

namespace holdfast {
namespace {

StatusOr<bool> SameContent(FileSystem& fs, const std::string& a, const std::string& b) {
  ASSIGN_OR_RETURN(const auto file_a, fs.OpenForRead(a));
  ASSIGN_OR_RETURN(const auto file_b, fs.OpenForRead(b));
  std::array<std::uint8_t, 64 * kKiB> block_a, block_b;
  for (std::uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t n, file_a->ReadAt(offset, block_a));
    ASSIGN_OR_RETURN(const std::size_t m, file_b->ReadAt(offset, block_b));
    if (n != m || TextOf(ByteSpan(block_a).first(n)) != TextOf(ByteSpan(block_b).first(m)))
      return false;
    if (n == 0) return true;
    offset += n;
  }
}

// What to try instead of a file that is not there.
std::string Suggestion(FileSystem& fs, const std::string& path,
                       const std::string& snapshot_directory) {
  for (Compression c : {Compression::kZip, Compression::kZstd}) {
    const std::string compressed = path + std::string(CompressionSuffix(c));
    if (Exists(fs, compressed).value_or(false)) return fmt::format("There is {}.", compressed);
  }
  const auto entries = fs.List(snapshot_directory);
  std::vector<std::string> names;
  if (entries.ok()) {
    for (const DirectoryEntry& entry : *entries) {
      if (entry.info.kind == FileKind::kFile) names.push_back(entry.name);
    }
  }
  if (names.empty()) return fmt::format("There are no snapshots in {}.", snapshot_directory);
  constexpr std::size_t kShown = 5;
  if (names.size() > kShown) names.erase(names.begin(), names.end() - kShown);
  return fmt::format("In {} there are: {}.", snapshot_directory, Join(names, ", "));
}

}  // namespace

StatusOr<std::string> FindSnapshot(FileSystem& fs, const std::string& given,
                                   const std::string& snapshot_directory,
                                   const std::string& working_directory) {
  constexpr std::string_view kFileScheme = "file://";
  if (given.empty()) return InvalidArgumentError("the path of the snapshot is empty");
  std::string path = given.starts_with(kFileScheme) ? given.substr(kFileScheme.size()) : given;
  if (path.find('/') == std::string::npos) {
    const std::string stored = JoinPath(snapshot_directory, path),
                      here = AbsolutePath(path, working_directory);
    ASSIGN_OR_RETURN(const bool is_stored, Exists(fs, stored));
    ASSIGN_OR_RETURN(const bool is_here, Exists(fs, here));
    if (is_stored && is_here && AbsolutePath(stored, working_directory) != here) {
      ASSIGN_OR_RETURN(const bool same, SameContent(fs, stored, here));
      if (!same) {
        return WithHint(
            InvalidArgumentError("there are two different files of the name {}: {} and {}", path,
                                 stored, here),
            "Give the whole path of the one you mean.");
      }
    }
    path = is_here && !is_stored ? here : stored;
  } else {
    path = AbsolutePath(path, working_directory);
  }
  const auto info = fs.Stat(path);
  if (absl::IsNotFound(info.status())) {
    return WithHint(NotFoundError("etcd: snapshot path does not exist: {}", path),
                    Suggestion(fs, path, snapshot_directory));
  }
  if (!info.ok()) return info.status();
  if (info->kind != FileKind::kFile) {
    return InvalidArgumentError("etcd: snapshot path must be a file, not a directory: {}", path);
  }
  return path;
}

}  // namespace holdfast
