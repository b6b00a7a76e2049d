// A file that appears whole or not at all. This is the one place where a new file becomes durable:
// written under "<name>.part", synced, renamed to its name, directory synced.
//
// What a crash leaves behind: before Commit() a ".part" file, which nothing reads and the next clean-up removes;
// after Commit() returned OK the complete file. In between either.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "os/file_system.h"

namespace holdfast {

// Files that end so are unfinished: never listed, counted or restored.
inline constexpr std::string_view kPartSuffix = ".part";

class AtomicFile {
 public:
  // Starts "<path>.part" with `mode`; a leftover of that name is replaced. `fs` must outlive this.
  static StatusOr<AtomicFile> Create(FileSystem& fs, std::string path, std::uint32_t mode);

  AtomicFile(AtomicFile&&) = default;
  AtomicFile& operator=(AtomicFile&&) = delete;
  // Unless committed, removes the unfinished file.
  ~AtomicFile();

  File& file() { return *file_; }

  // Syncs, renames over `path`, syncs the directory. On an error the unfinished file is removed and `path` is as it was
  // (or, if only the directory's sync failed, may already be the new one).
  Status Commit();
  // As Commit(), but kAlreadyExists if something has that name by now.
  Status CommitNew();

 private:
  AtomicFile(FileSystem& fs, std::string path, std::unique_ptr<File> file)
      : fs_(&fs), path_(std::move(path)), file_(std::move(file)) {}
  Status CommitWith(Status (FileSystem::*rename)(const std::string&, const std::string&));
  std::string part_path() const { return path_ + std::string(kPartSuffix); }

  FileSystem* fs_;
  std::string path_;
  std::unique_ptr<File> file_;  // null once committed or given up
};

// The whole of `content` as an atomic, durable replacement of `path`.
Status WriteFileAtomically(FileSystem& fs, const std::string& path, std::string_view content,
                           std::uint32_t mode);

}  // namespace holdfast
