// The door to files. Everything that touches a disk goes through these two interfaces, so that tests can trace the calls,
// make the N-th one fail, and cut the power between two of them (testing/). The real one is PosixFileSystem().
//
// Durability, in one place: data is safe after File::Sync(), a name after FileSystem::SyncDirectory() of its directory.
// AtomicFile (atomic_file.h) does both in the right order.
//
// Errors are ErrnoError()s that name the call and the path. Modes are set explicitly: the umask never matters.
// A FileSystem may be used by many threads; a File by one at a time, except ReadAt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/random_access.h"
#include "base/status.h"

namespace holdfast {

enum class FileKind { kFile, kDirectory, kSymlink, kOther };

struct FileInfo {
  FileKind kind = FileKind::kOther;
  std::uint64_t size_bytes = 0;
  std::uint32_t mode = 0;  // permission bits only
  absl::Time modified_at;
};

struct DirectoryEntry {
  std::string name;
  FileInfo info;  // of the entry itself, links not followed
};

class File : public RandomAccess {
 public:
  // Writes all of `data` at `offset`, or fails.
  virtual Status WriteAt(std::uint64_t offset, ByteSpan data) = 0;

  // Makes the file `size` bytes long.
  virtual Status Truncate(std::uint64_t size) = 0;

  // Reserves disk space for the first `size` bytes and extends the file to it. Where the file system cannot, does nothing.
  virtual Status Reserve(std::uint64_t size) = 0;

  // Asks that writes go to the disk directly and leave the kernel's cache to others: for a large file that nobody reads
  // soon. Done for writes whose offset, size and address are multiples of kAlignment (base/aligned_buffer.h), where the
  // file system can; all others are as before. A hint: cannot fail.
  virtual void WriteDirectly() = 0;

  // Asks the kernel to start writing this range to disk now, so that a later Sync() has less to do. A hint: cannot fail.
  virtual void StartWriteback(std::uint64_t offset, std::uint64_t size) = 0;

  // After this the data survive a power cut.
  virtual Status Sync() = 0;

  // Takes the exclusive advisory lock (flock), without waiting; kAborted if another process has it. Held until destroyed.
  virtual Status TryLock() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual StatusOr<std::unique_ptr<File>> OpenForRead(const std::string& path) = 0;
  // An existing file, for reading and writing.
  virtual StatusOr<std::unique_ptr<File>> OpenForWrite(const std::string& path) = 0;
  // A new file with exactly `mode`; kAlreadyExists if there is one.
  virtual StatusOr<std::unique_ptr<File>> Create(const std::string& path, std::uint32_t mode) = 0;
  // The file, made with `mode` if it is not there: for lock files.
  virtual StatusOr<std::unique_ptr<File>> OpenOrCreate(const std::string& path,
                                                       std::uint32_t mode) = 0;

  // Follows links; kNotFound if nothing is there.
  virtual StatusOr<FileInfo> Stat(const std::string& path) = 0;
  // The entries of a directory, sorted by name, without "." and "..".
  virtual StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) = 0;

  // One directory with exactly `mode`; kAlreadyExists if there is something.
  virtual Status MakeDirectory(const std::string& path, std::uint32_t mode) = 0;

  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // As Rename, but kAlreadyExists rather than replacing. Atomic where the file system can.
  virtual Status RenameNoReplace(const std::string& from, const std::string& to) = 0;
  // Swaps two names in one step; kUnimplemented where the kernel or file system cannot.
  virtual Status Exchange(const std::string& a, const std::string& b) = 0;

  // A second name for the same file; kAlreadyExists if `to` is there.
  virtual Status Link(const std::string& from, const std::string& to) = 0;

  virtual Status RemoveFile(const std::string& path) = 0;
  virtual Status RemoveEmptyDirectory(const std::string& path) = 0;

  virtual Status SetMode(const std::string& path, std::uint32_t mode) = 0;
  // Gives `to` the owner and the group that `from` has.
  virtual Status CopyOwner(const std::string& from, const std::string& to) = 0;
  virtual Status SetModified(const std::string& path, absl::Time time) = 0;
  virtual Status MakeSymlink(const std::string& target, const std::string& link) = 0;

  // After this the names in `directory` survive a power cut.
  virtual Status SyncDirectory(const std::string& directory) = 0;

  // Bytes that this process may still write on the file system of `path`.
  virtual StatusOr<std::uint64_t> FreeSpace(const std::string& path) = 0;
};

// The kernel's files. Lives as long as the program.
FileSystem& PosixFileSystem();

// --- on top of any FileSystem ---

// True, false, or the error that prevented an answer.
StatusOr<bool> Exists(FileSystem& fs, const std::string& path);

// The directory and its missing parents, each new one with `mode` and durable. Fine if it is there; kFailedPrecondition if
// a file is.
Status MakeDirectories(FileSystem& fs, const std::string& path, std::uint32_t mode);

// A file (0600) on the disk of `directory` that has lost its name already: gone when it is closed, whatever happens. While
// it is made it is called .holdfast-<pid>-<n>.part.
StatusOr<std::unique_ptr<File>> CreateUnnamedFile(FileSystem& fs, const std::string& directory);

// The whole file; kResourceExhausted if it is longer than `size_max`.
StatusOr<std::string> ReadFile(FileSystem& fs, const std::string& path, std::uint64_t size_max);

// Removes a file or a directory with all it holds; fine if nothing is there. Links in it are removed, not followed; `path`
// itself must be none.
Status RemoveTree(FileSystem& fs, const std::string& path);

// Copies a directory with its files, their modes and modification times to a new name, durably but for that name itself. A
// link to a file becomes a file; other links, and what is neither file nor directory, are left out.
Status CopyTree(FileSystem& fs, const std::string& from, const std::string& to);

}  // namespace holdfast
