#include "sqlite/in_use.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>

#include "os/fd.h"
#include "os/file_system.h"
#include "os/host.h"

namespace holdfast::sqlite {
namespace {

// SQLite's locks are POSIX locks on bytes that no page reaches: of the database 512 from 1 GiB on (a connection in WAL mode
// holds a shared one for as long as it lives), of the -shm 8 + 1 from 120 on (the last, DMS, likewise).
// Source: SQLite 3.40 src/os.h (PENDING_BYTE, SHARED_SIZE), src/os_unix.c (UNIX_SHM_BASE, UNIX_SHM_DMS).
constexpr off_t kDatabaseLocks = 0x40000000, kDatabaseLocksSize = 512;
constexpr off_t kSharedMemoryLocks = 120, kSharedMemoryLocksSize = 9;

// The process that holds a lock in this range; 0 if it is one that we cannot name; none if nobody does.
StatusOr<std::optional<pid_t>> LockHolder(const std::string& path, off_t start, off_t size) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) return std::optional<pid_t>();
    return ErrnoError(errno, fmt::format("open {}", path));
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = size;
  if (::fcntl(fd.get(), F_GETLK, &lock) != 0)
    return ErrnoError(errno, fmt::format("look at the locks of {}", path));
  if (lock.l_type == F_UNLCK) return std::optional<pid_t>();
  return std::optional<pid_t>(lock.l_pid);
}

Status InUse(const std::string& path, const std::string& by) {
  return WithHint(FailedPreconditionError("{} is in use by {}", path, by),
                  "Stop it first: what it writes would go to the old database.");
}

}  // namespace

Status CheckNotInUse(const std::string& path) {
  // A connection that is idle and not in WAL mode holds no lock, but it has the file open.
  for (const char* suffix : {"", "-wal", "-shm"}) {
    if (const std::string who = WhoHasOpen(path + suffix); !who.empty()) return InUse(path, who);
  }
  ASSIGN_OR_RETURN(auto holder, LockHolder(path, kDatabaseLocks, kDatabaseLocksSize));
  if (!holder) {
    ASSIGN_OR_RETURN(holder, LockHolder(path + "-shm", kSharedMemoryLocks, kSharedMemoryLocksSize));
  }
  if (!holder) return OkStatus();
  return InUse(path, *holder > 0 ? fmt::format("process {}", *holder) : "another process");
}

}  // namespace holdfast::sqlite
