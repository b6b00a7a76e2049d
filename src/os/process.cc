#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "base/mutex.h"
#include "base/path.h"
#include "base/text.h"
#include "os/fd.h"
#include "os/host.h"
#include "os/pipe.h"

namespace holdfast {
namespace {

constexpr std::size_t kLineBytesMax = 16 * kKiB;

int PidfdOpen(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

ExitReason ReasonOf(int status) {
  ExitReason reason;
  if (WIFSIGNALED(status)) {
    reason.signal = WTERMSIG(status);
  } else {
    reason.code = WEXITSTATUS(status);
  }
  return reason;
}

// What becomes the child's descriptors 0, 1 and 2; input -1 is /dev/null.
struct Standard {
  int input, output, errors;
};

// In the child, between fork and exec: only calls that are safe there. Never returns.
[[noreturn]] void Exec(char* const* argv, char* const* environment, pid_t parent,
                       const Standard& standard, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(standard.input >= 0 ? standard.input : ::open("/dev/null", O_RDONLY), 0);
  ::dup2(standard.output, 1);
  ::dup2(standard.errors, 2);
  ::execve(argv[0], argv, environment);
  const int error = errno;
  (void)!::write(report, &error, sizeof error);
  ::_exit(127);
}

// Our environment without what shall not be handed on, and with what shall; ends with a null pointer.
std::vector<char*> EnvironmentOf(ChildOptions& options) {
  std::vector<std::string> left_out = options.hidden_environment;
  std::vector<char*> out;
  for (std::string& variable : options.environment) {
    left_out.push_back(variable.substr(0, variable.find('=') + 1));
    out.push_back(variable.data());
  }
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const auto begins = [&](const std::string& prefix) {
      return std::string_view(*variable).starts_with(prefix);
    };
    if (std::none_of(left_out.begin(), left_out.end(), begins)) out.push_back(*variable);
  }
  out.push_back(nullptr);
  return out;
}

StatusOr<pid_t> Spawn(ChildOptions& options, int lines) {
  std::vector<std::string>& args = options.argv;
  CHECK(!args.empty());
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  const std::vector<char*> environment = EnvironmentOf(options);
  const Standard standard = {options.input.get(),
                             options.output.valid() ? options.output.get() : lines, lines};
  ASSIGN_OR_RETURN(Pipe report, MakePipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, fmt::format("start {}", args[0]));
  if (pid == 0) Exec(argv.data(), environment.data(), parent, standard, report.write.get());
  report.write.Reset();
  // exec closes the pipe; bytes in it are exec's errno
  int error = 0;
  ssize_t n;
  do {
    n = ::read(report.read.get(), &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoError(error, fmt::format("execute {}", args[0]));
  }
  return pid;
}

StatusOr<Fd> MakeEvent() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "make eventfd");
  return fd;
}

void Notify(const Fd& event) {
  const std::uint64_t one = 1;
  (void)!::write(event.get(), &one, sizeof one);
}

// Calls `on_line` for each line that comes through `fd`, until its end or `quit`.
void ReadLines(const Fd& fd, const Fd& quit, const std::function<void(std::string_view)>& on_line) {
  std::string pending;
  char block[4096];
  while (true) {
    pollfd fds[2] = {{fd.get(), POLLIN, 0}, {quit.get(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) break;
    const ssize_t n = ::read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    pending.append(block, static_cast<std::size_t>(n));
    std::size_t start = 0;
    for (std::size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
      on_line(std::string_view(pending).substr(start, std::min(end - start, kLineBytesMax)));
    }
    pending.erase(0, start);
    if (pending.size() > kLineBytesMax) {
      on_line(std::string_view(pending).substr(0, kLineBytesMax));
      pending.clear();
    }
  }
  if (!pending.empty()) on_line(pending);
}

class PosixChild final : public ChildProcess {
 public:
  PosixChild(pid_t pid, Fd pidfd, Fd output, Fd wake, Fd quit,
             std::function<void(std::string_view)> on_output_line)
      : pid_(pid), pidfd_(std::move(pidfd)), wake_(std::move(wake)), quit_(std::move(quit)) {
    reader_ = std::jthread([this, fd = std::move(output), on_line = std::move(on_output_line)] {
      ::pthread_setname_np(::pthread_self(), "child-output");
      ReadLines(fd, quit_, on_line);
      const MutexLock lock(mutex_);
      output_ended_ = true;
      changed_.notify_all();
    });
  }

  ~PosixChild() override {
    if (!exited_) {
      Signal(SIGKILL);
      Reap(kOutputPatience);
    }
    // Somebody who left the group may hold the output open for ever.
    if (!WaitForOutputEnd(kOutputPatience)) Notify(quit_);
  }

  pid_t pid() const override { return pid_; }

  std::optional<ExitReason> Wait(absl::Duration length, std::stop_token stop) override {
    if (exited_) return exited_;
    if (!WaitForExit(length, stop)) return std::nullopt;
    return Reap(kOutputPatience);
  }

  // To its whole group: a wrapper script may have started the real program without exec.
  void Signal(int signal) override {
    if (!exited_) ::kill(-pid_, signal);
  }

  ExitReason Stop(absl::Duration grace) override {
    if (exited_) return *exited_;
    Signal(SIGTERM);
    if (WaitForExit(grace, {})) return Reap(grace);
    Signal(SIGKILL);
    return Reap(kOutputPatience);
  }

 private:
  static constexpr absl::Duration kOutputPatience = absl::Seconds(1);

  bool WaitForExit(absl::Duration length, std::stop_token stop) {
    const std::stop_callback wake(stop, [this] { Notify(wake_); });
    pollfd fds[2] = {{pidfd_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    const int timeout_ms = static_cast<int>(
        std::min<std::int64_t>(absl::ToInt64Milliseconds(length), 24 * 3600 * 1000));
    const int n = ::poll(fds, 2, std::max(timeout_ms, 0));
    // What an earlier stop wrote must not end a later wait.
    std::uint64_t ignored;
    (void)!::read(wake_.get(), &ignored, sizeof ignored);
    return n > 0 && (fds[0].revents & POLLIN) != 0;
  }

  // It has ended, or is about to. What it started and that keeps the output open may end in order within `patience`.
  ExitReason Reap(absl::Duration patience) {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR) {
    }
    // Its last lines, which often say why it ended, may still be on their way.
    WaitForOutputEnd(patience);
    // Before it is reaped: until then the number of its group is nobody else's.
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    exited_ = ReasonOf(status);
    return *exited_;
  }

  bool WaitForOutputEnd(absl::Duration length) {
    const auto end = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(length);
    const MutexLock lock(mutex_);
    while (!output_ended_) {
      if (changed_.wait_until(mutex_, end) == std::cv_status::timeout) break;
    }
    return output_ended_;
  }

  const pid_t pid_;
  Fd pidfd_;
  Fd wake_;  // a wait shall end
  Fd quit_;  // the reader shall end
  std::optional<ExitReason> exited_;
  Mutex mutex_;
  ConditionVariable changed_;
  bool output_ended_ HF_GUARDED_BY(mutex_) = false;
  std::jthread reader_;
};

}  // namespace

std::string ExitReason::Describe() const {
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", code);
}

StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(ChildOptions options) {
  ASSIGN_OR_RETURN(Pipe lines, MakePipe());
  ASSIGN_OR_RETURN(Fd wake, MakeEvent());
  ASSIGN_OR_RETURN(Fd quit, MakeEvent());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(options, lines.write.get()));
  Fd pidfd(PidfdOpen(pid));
  if (!pidfd.valid()) {
    const Status status = ErrnoError(errno, "pidfd_open");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return status;
  }
  return std::make_unique<PosixChild>(pid, std::move(pidfd), std::move(lines.read), std::move(wake),
                                      std::move(quit), std::move(options.on_output_line));
}

StatusOr<std::string> RunAndRead(std::vector<std::string> argv, absl::Duration limit) {
  constexpr std::size_t kOutputMax = 64 * kKiB;
  const std::string program = argv.empty() ? "" : argv[0];
  std::string output;
  ASSIGN_OR_RETURN(auto child,
                   ChildProcess::Start({.argv = std::move(argv), .on_output_line = [&](auto line) {
                                          if (output.size() + line.size() < kOutputMax) {
                                            output.append(line).push_back('\n');
                                          }
                                        }}));
  const auto reason = child->Wait(limit, {});
  child.reset();  // joins the reader: output is complete
  if (!reason)
    return DeadlineExceededError("{} did not end within {}", program, FormatGoDuration(limit));
  if (reason->code != 0 || reason->signal != 0) {
    return FailedPreconditionError("{}: {}: {}", program, reason->Describe(),
                                   Trim(output.substr(0, 400)));
  }
  return output;
}

namespace {
// A directory may be "executed" too, as far as access() goes.
bool IsRegularFile(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}
}  // namespace

StatusOr<std::string> FindProgram(const std::string& program) {
  if (program.find('/') != std::string::npos) {
    if (::access(program.c_str(), X_OK) != 0)
      return ErrnoError(errno, fmt::format("execute {}", program));
    if (!IsRegularFile(program)) return FailedPreconditionError("{} is not a program", program);
    return program;
  }
  for (const std::string& directory : Split(Environment("PATH").value_or("/usr/bin:/bin"), ':')) {
    const std::string path = JoinPath(directory.empty() ? "." : directory, program);
    if (::access(path.c_str(), X_OK) == 0 && IsRegularFile(path)) return path;
  }
  return NotFoundError("no program \"{}\" on PATH", program);
}

}  // namespace holdfast
