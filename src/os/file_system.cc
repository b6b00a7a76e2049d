#include "os/file_system.h"

#include <unistd.h>

#include "base/path.h"

namespace holdfast {

StatusOr<bool> Exists(FileSystem& fs, const std::string& path) {
  const auto info = fs.Stat(path);
  if (info.ok()) return true;
  if (absl::IsNotFound(info.status())) return false;
  return info.status();
}

Status MakeDirectories(FileSystem& fs, const std::string& path, std::uint32_t mode) {
  const auto info = fs.Stat(path);
  if (info.ok()) {
    if (info->kind == FileKind::kDirectory) return OkStatus();
    return FailedPreconditionError("{} is not a directory", path);
  }
  if (!absl::IsNotFound(info.status())) return info.status();
  if (const std::string parent = DirName(path); parent != path) {
    RETURN_IF_ERROR(MakeDirectories(fs, parent, mode));
  }
  const Status made = fs.MakeDirectory(path, mode);
  if (absl::IsAlreadyExists(made)) return OkStatus();  // somebody else was faster
  RETURN_IF_ERROR(made);
  return fs.SyncDirectory(DirName(path));
}

StatusOr<std::unique_ptr<File>> CreateUnnamedFile(FileSystem& fs, const std::string& directory) {
  for (int i = 0;; ++i) {
    const std::string path =
        JoinPath(directory, fmt::format(".holdfast-{}-{}.part", ::getpid(), i));
    auto file = fs.Create(path, 0600);
    if (absl::IsAlreadyExists(file.status())) continue;
    RETURN_IF_ERROR(file.status());
    RETURN_IF_ERROR(fs.RemoveFile(path));
    return file;
  }
}

StatusOr<std::string> ReadFile(FileSystem& fs, const std::string& path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  std::string out;
  std::uint8_t block[16 * kKiB];
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(out.size(), block));
    if (n == 0) return out;
    out.append(TextOf(ByteSpan(block, n)));
    if (out.size() > size_max) {
      return ResourceExhaustedError("{} is larger than {} bytes", path, size_max);
    }
  }
}

Status RemoveTree(FileSystem& fs, const std::string& path) {
  const auto entries = fs.List(path);
  if (absl::IsNotFound(entries.status())) return OkStatus();
  if (!entries.ok()) {  // not a directory
    const Status removed = fs.RemoveFile(path);
    return absl::IsNotFound(removed) ? OkStatus() : removed;
  }
  for (const DirectoryEntry& entry : *entries) {
    const std::string child = JoinPath(path, entry.name);
    if (entry.info.kind == FileKind::kDirectory) {
      RETURN_IF_ERROR(RemoveTree(fs, child));
    } else {
      RETURN_IF_ERROR(fs.RemoveFile(child));
    }
  }
  return fs.RemoveEmptyDirectory(path);
}

namespace {

Status CopyFile(FileSystem& fs, const std::string& from, const std::string& to,
                const FileInfo& info) {
  ASSIGN_OR_RETURN(const auto in, fs.OpenForRead(from));
  ASSIGN_OR_RETURN(const auto out, fs.Create(to, info.mode));
  std::uint8_t block[64 * kKiB];
  for (std::uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t n, in->ReadAt(offset, block));
    if (n == 0) break;
    RETURN_IF_ERROR(out->WriteAt(offset, ByteSpan(block, n)));
    offset += n;
  }
  RETURN_IF_ERROR(fs.SetModified(to, info.modified_at));
  return out->Sync();
}

}  // namespace

Status CopyTree(FileSystem& fs, const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const FileInfo top, fs.Stat(from));
  RETURN_IF_ERROR(fs.MakeDirectory(to, top.mode));
  ASSIGN_OR_RETURN(const auto entries, fs.List(from));
  for (const DirectoryEntry& entry : entries) {
    const std::string source = JoinPath(from, entry.name), target = JoinPath(to, entry.name);
    if (entry.info.kind == FileKind::kDirectory) {
      RETURN_IF_ERROR(CopyTree(fs, source, target));
      continue;
    }
    const auto info = fs.Stat(source);  // of what a link leads to
    if (absl::IsNotFound(info.status())) continue;
    RETURN_IF_ERROR(info.status());
    if (info->kind == FileKind::kFile) RETURN_IF_ERROR(CopyFile(fs, source, target, *info));
  }
  return fs.SyncDirectory(to);
}

}  // namespace holdfast
