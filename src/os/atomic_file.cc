#include "os/atomic_file.h"

#include "base/path.h"

namespace holdfast {

StatusOr<AtomicFile> AtomicFile::Create(FileSystem& fs, std::string path, std::uint32_t mode) {
  const std::string part = path + std::string(kPartSuffix);
  auto file = fs.Create(part, mode);
  if (absl::IsAlreadyExists(file.status())) {
    RETURN_IF_ERROR(fs.RemoveFile(part));
    file = fs.Create(part, mode);
  }
  if (!file.ok()) return file.status();
  return AtomicFile(fs, std::move(path), *std::move(file));
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  file_.reset();
  // best effort: a leftover is never taken for a finished file, and the next clean-up removes it
  (void)fs_->RemoveFile(part_path());
}

Status AtomicFile::Commit() { return CommitWith(&FileSystem::Rename); }

Status AtomicFile::CommitNew() { return CommitWith(&FileSystem::RenameNoReplace); }

Status AtomicFile::CommitWith(Status (FileSystem::*rename)(const std::string&,
                                                           const std::string&)) {
  CHECK(file_ != nullptr);
  RETURN_IF_ERROR(file_->Sync());
  RETURN_IF_ERROR((fs_->*rename)(part_path(), path_));
  file_.reset();
  return fs_->SyncDirectory(DirName(path_));
}

Status WriteFileAtomically(FileSystem& fs, const std::string& path, std::string_view content,
                           std::uint32_t mode) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(fs, path, mode));
  RETURN_IF_ERROR(file.file().WriteAt(0, BytesOf(content)));
  return file.Commit();
}

}  // namespace holdfast
