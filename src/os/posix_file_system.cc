// The real FileSystem: thin, one system call a method where possible.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "base/aligned_buffer.h"
#include "base/path.h"
#include "os/fd.h"
#include "os/file_system.h"

namespace holdfast {
namespace {

Status Failed(std::string_view call, const std::string& path) {
  return ErrnoError(errno, fmt::format("{} {}", call, path));
}

FileInfo InfoOf(const struct stat& st) {
  FileInfo info;
  info.kind = S_ISREG(st.st_mode)   ? FileKind::kFile
              : S_ISDIR(st.st_mode) ? FileKind::kDirectory
              : S_ISLNK(st.st_mode) ? FileKind::kSymlink
                                    : FileKind::kOther;
  info.size_bytes = static_cast<std::uint64_t>(st.st_size);
  info.mode = st.st_mode & 07777u;
  info.modified_at = absl::TimeFromTimespec(st.st_mtim);
  return info;
}

class PosixFile final : public File {
 public:
  PosixFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  const std::string& path() const override { return path_; }

  StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoError(errno, fmt::format("read {} at offset {}", path_, offset + done));
      }
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Status WriteAt(std::uint64_t offset, ByteSpan data) override {
    while (!data.empty()) {
      const bool directly = direct_fd_.valid() && IsAligned(offset, data);
      const Fd& fd = directly ? direct_fd_ : fd_;
      const ssize_t n = ::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL && directly) {
          direct_fd_ = Fd();  // this file system wants something else
          continue;
        }
        return ErrnoError(errno, fmt::format("write {} at offset {}", path_, offset));
      }
      offset += static_cast<std::uint64_t>(n);
      data = data.subspan(static_cast<std::size_t>(n));
    }
    return OkStatus();
  }

  StatusOr<std::uint64_t> Size() const override {
    struct stat st;
    if (::fstat(fd_.get(), &st) != 0) return Failed("stat", path_);
    return static_cast<std::uint64_t>(st.st_size);
  }

  Status Truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Failed("truncate", path_);
    return OkStatus();
  }

  Status Reserve(std::uint64_t size) override {
    if (size == 0) return OkStatus();
    if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) == 0) return OkStatus();
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return OkStatus();
    return Failed("reserve space for", path_);
  }

  void WriteDirectly() override {
    // The same file once more, because reading and other writes stay as they are.
    direct_fd_ = Fd(::open(fmt::format("/proc/self/fd/{}", fd_.get()).c_str(),
                           O_WRONLY | O_DIRECT | O_CLOEXEC));
  }

  void StartWriteback(std::uint64_t offset, std::uint64_t size) override {
    // best effort: only a hint, Sync() is what counts
    (void)::sync_file_range(fd_.get(), static_cast<off64_t>(offset), static_cast<off64_t>(size),
                            SYNC_FILE_RANGE_WRITE);
  }

  Status Sync() override {
    if (::fsync(fd_.get()) != 0) return Failed("fsync", path_);
    return OkStatus();
  }

  Status TryLock() override {
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return OkStatus();
    if (errno == EWOULDBLOCK) return AbortedError("{} is locked by another process", path_);
    return Failed("lock", path_);
  }

 private:
  static bool IsAligned(std::uint64_t offset, ByteSpan data) {
    return (offset | data.size() | reinterpret_cast<std::uintptr_t>(data.data())) % kAlignment == 0;
  }

  Fd fd_;
  std::string path_;
  Fd direct_fd_;  // with O_DIRECT; invalid if that was not asked for or is not to be had
};

class Posix final : public FileSystem {
 public:
  StatusOr<std::unique_ptr<File>> OpenForRead(const std::string& path) override {
    return Open(path, O_RDONLY, 0, "open");
  }
  StatusOr<std::unique_ptr<File>> OpenForWrite(const std::string& path) override {
    return Open(path, O_RDWR, 0, "open for writing");
  }
  StatusOr<std::unique_ptr<File>> Create(const std::string& path, std::uint32_t mode) override {
    return Open(path, O_RDWR | O_CREAT | O_EXCL, mode, "create");
  }
  StatusOr<std::unique_ptr<File>> OpenOrCreate(const std::string& path,
                                               std::uint32_t mode) override {
    return Open(path, O_RDWR | O_CREAT, mode, "open or create");
  }

  StatusOr<FileInfo> Stat(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return Failed("stat", path);
    return InfoOf(st);
  }

  StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) override {
    struct Closer {
      void operator()(DIR* d) const { ::closedir(d); }
    };
    std::unique_ptr<DIR, Closer> dir(::opendir(directory.c_str()));
    if (!dir) return Failed("list", directory);
    std::vector<DirectoryEntry> out;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr) {
        if (errno != 0) return Failed("list", directory);
        break;
      }
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat st;
      if (::fstatat(::dirfd(dir.get()), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone in between
        return Failed("stat", JoinPath(directory, name));
      }
      out.push_back({name, InfoOf(st)});
    }
    std::sort(out.begin(), out.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    return out;
  }

  Status MakeDirectory(const std::string& path, std::uint32_t mode) override {
    if (::mkdir(path.c_str(), mode) != 0) return Failed("make directory", path);
    return SetMode(path, mode);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoError(errno, fmt::format("rename {} to {}", from, to));
    }
    return OkStatus();
  }

  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    if (Rename2(from, to, RENAME_NOREPLACE) == 0) return OkStatus();
    if (errno != EINVAL && errno != ENOSYS) {
      return ErrnoError(errno, fmt::format("rename {} to {}", from, to));
    }
    struct stat st;
    if (::lstat(to.c_str(), &st) == 0)
      return AlreadyExistsError("rename {} to {}: exists", from, to);
    return Rename(from, to);
  }

  Status Exchange(const std::string& a, const std::string& b) override {
    if (Rename2(a, b, RENAME_EXCHANGE) == 0) return OkStatus();
    const int error = errno == EINVAL ? ENOSYS : errno;
    return ErrnoError(error, fmt::format("exchange {} and {}", a, b));
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) {
      return ErrnoError(errno, fmt::format("link {} to {}", from, to));
    }
    return OkStatus();
  }

  Status RemoveFile(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return Failed("remove", path);
    return OkStatus();
  }

  Status RemoveEmptyDirectory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return Failed("remove directory", path);
    return OkStatus();
  }

  Status SetMode(const std::string& path, std::uint32_t mode) override {
    if (::chmod(path.c_str(), mode) != 0) return Failed("chmod", path);
    return OkStatus();
  }

  Status CopyOwner(const std::string& from, const std::string& to) override {
    struct stat source, target;
    if (::stat(from.c_str(), &source) != 0) return Failed("stat", from);
    if (::stat(to.c_str(), &target) != 0) return Failed("stat", to);
    if (source.st_uid == target.st_uid && source.st_gid == target.st_gid) return OkStatus();
    if (::chown(to.c_str(), source.st_uid, source.st_gid) != 0) return Failed("chown", to);
    return OkStatus();
  }

  Status SetModified(const std::string& path, absl::Time time) override {
    const timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(time)};
    if (::utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return Failed("set time of", path);
    return OkStatus();
  }

  Status MakeSymlink(const std::string& target, const std::string& link) override {
    if (::symlink(target.c_str(), link.c_str()) != 0) return Failed("make link", link);
    return OkStatus();
  }

  Status SyncDirectory(const std::string& directory) override {
    const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return Failed("open", directory);
    // EINVAL: a file system whose directories need no sync
    if (::fsync(fd.get()) != 0 && errno != EINVAL) return Failed("fsync", directory);
    return OkStatus();
  }

  StatusOr<std::uint64_t> FreeSpace(const std::string& path) override {
    struct statvfs st;
    if (::statvfs(path.c_str(), &st) != 0) return Failed("measure free space at", path);
    return std::uint64_t{st.f_bavail} * st.f_frsize;
  }

 private:
  static int Rename2(const std::string& from, const std::string& to, unsigned flags) {
    return static_cast<int>(
        ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
  }

  static StatusOr<std::unique_ptr<File>> Open(const std::string& path, int flags, mode_t mode,
                                              std::string_view what) {
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd.valid()) return Failed(what, path);
    // The umask has cut the mode of a file just made.
    if ((flags & O_CREAT) != 0 && ::fchmod(fd.get(), mode) != 0) {
      const Status failed = Failed("chmod", path);
      if ((flags & O_EXCL) != 0)
        (void)::unlink(path.c_str());  // best effort: it is told as an error that nothing was made
      return failed;
    }
    return std::make_unique<PosixFile>(std::move(fd), path);
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static Posix fs;
  return fs;
}

}  // namespace holdfast
