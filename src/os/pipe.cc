#include "os/pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kPipeBytes = 1024 * 1024;

}  // namespace

StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "make pipe");
  return Pipe{Fd(fds[0]), Fd(fds[1])};
}

Status PreparePipe(const Fd& end) {
  const int flags = ::fcntl(end.get(), F_GETFL);
  if (flags < 0 || ::fcntl(end.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return ErrnoError(errno, "prepare pipe");
  // Refused to users who have many pipes already: then it stays at 64 KiB.
  (void)::fcntl(end.get(), F_SETPIPE_SZ, kPipeBytes);
  return OkStatus();
}

Status AwaitReady(int fd, short events, const PipeWait& wait) {
  const Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "make eventfd");
  const std::stop_callback on_stop(wait.stop, [&] {
    const std::uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);
  });
  pollfd fds[2] = {{fd, events, 0}, {wake.get(), POLLIN, 0}};
  const auto timeout_ms =
      std::clamp<std::int64_t>(absl::ToInt64Milliseconds(wait.stall_timeout), 0, 24 * 3600 * 1000);
  int n;
  do {
    n = ::poll(fds, 2, static_cast<int>(timeout_ms));
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoError(errno, "poll");
  if (fds[1].revents != 0) return CancelledError("stopped");
  if (n == 0)
    return DeadlineExceededError("nothing moved for {}", FormatGoDuration(wait.stall_timeout));
  return OkStatus();
}

StatusOr<std::size_t> ReadPipe(const Fd& end, MutableByteSpan out, const PipeWait& wait) {
  while (true) {
    if (wait.stop.stop_requested()) return CancelledError("stopped");
    const ssize_t n = ::read(end.get(), out.data(), out.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return ErrnoError(errno, "read pipe");
    RETURN_IF_ERROR(AwaitReady(end.get(), POLLIN, wait));
  }
}

StatusOr<bool> WritePipe(const Fd& end, ByteSpan data, const PipeWait& wait) {
  while (!data.empty()) {
    if (wait.stop.stop_requested()) return CancelledError("stopped");
    const ssize_t n = ::write(end.get(), data.data(), data.size());
    if (n >= 0) {
      data = data.subspan(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      return false;
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(AwaitReady(end.get(), POLLOUT, wait));
    } else if (errno != EINTR) {
      return ErrnoError(errno, "write pipe");
    }
  }
  return true;
}

}  // namespace holdfast
