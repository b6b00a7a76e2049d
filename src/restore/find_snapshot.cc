#include "restore/find_snapshot.h"

#include <vector>

#include "base/path.h"
#include "base/text.h"
#include "stream/compression.h"

namespace holdfast {
namespace {

constexpr std::string_view kS3Scheme = "s3://";
// One of the two may be far away.
constexpr std::size_t kCompareBlock = 4 * kMiB;

StatusOr<bool> SameFiles(FileSystem& fs, const std::string& a, const std::string& b) {
  ASSIGN_OR_RETURN(const auto file_a, fs.OpenForRead(a));
  ASSIGN_OR_RETURN(const auto file_b, fs.OpenForRead(b));
  return SameContent(*file_a, *file_b);
}

// As many bytes as there are, up to the whole of `out`.
StatusOr<std::size_t> ReadFully(const RandomAccess& from, std::uint64_t offset,
                                MutableByteSpan out) {
  std::size_t done = 0;
  while (done < out.size()) {
    ASSIGN_OR_RETURN(const std::size_t n, from.ReadAt(offset + done, out.subspan(done)));
    if (n == 0) break;
    done += n;
  }
  return done;
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
      ASSIGN_OR_RETURN(const bool same, SameFiles(fs, stored, here));
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

bool IsS3Name(const std::string& given) { return given.starts_with(kS3Scheme); }

StatusOr<S3Name> ParseS3Name(const std::string& given) {
  const std::string rest = IsS3Name(given) ? given.substr(kS3Scheme.size()) : "";
  const auto slash = rest.find('/');
  if (slash == 0 || slash == std::string::npos || rest.ends_with('/')) {
    return InvalidArgumentError("\"{}\" is not of the form s3://BUCKET/FOLDER/NAME", given);
  }
  const std::string key = rest.substr(slash + 1);
  const auto last = key.rfind('/');
  const bool in_folder = last != std::string::npos;
  return S3Name{.bucket = rest.substr(0, slash),
                .folder = in_folder ? key.substr(0, last) : "",
                .name = in_folder ? key.substr(last + 1) : key};
}

StatusOr<bool> SameContent(const RandomAccess& a, const RandomAccess& b) {
  ASSIGN_OR_RETURN(const std::uint64_t size_a, a.Size());
  ASSIGN_OR_RETURN(const std::uint64_t size_b, b.Size());
  if (size_a != size_b) return false;
  std::vector<std::uint8_t> block_a(kCompareBlock), block_b(kCompareBlock);
  for (std::uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t n, ReadFully(a, offset, block_a));
    ASSIGN_OR_RETURN(const std::size_t m, ReadFully(b, offset, block_b));
    if (n != m || TextOf(ByteSpan(block_a).first(n)) != TextOf(ByteSpan(block_b).first(m)))
      return false;
    if (n == 0) return true;
    offset += n;
  }
}

}  // namespace holdfast
