// A child process that cannot outlive us: it gets SIGKILL from the kernel when the thread that started it ends
// (PR_SET_PDEATHSIG follows the thread, not the process), so start it from a thread that lives as long as it should.
// It runs in a process group of its own, so that Ctrl-C in a terminal reaches only us and we stop it in order.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "os/fd.h"

namespace holdfast {

struct ExitReason {
  int code = 0;                  // exit code, if it exited
  int signal = 0;                // or the signal that ended it
  std::string Describe() const;  // "exit code 1", "signal 9"
};

struct ChildOptions {
  std::vector<std::string> argv;  // argv[0] is the program's path
  // Variables of our environment whose names begin so are not handed on.
  std::vector<std::string> hidden_environment = {};
  // "NAME=VALUE": instead of ours of that name. Secrets may go this way: only root and the child's own user can read it.
  std::vector<std::string> environment = {};
  // Its standard input and output, if valid; without them it reads nothing, and what it prints comes as lines.
  Fd input = {}, output = {};
  // Called from a thread of the child object for each line of its stdout (without `output`) and stderr, cut at 16 KiB.
  std::function<void(std::string_view)> on_output_line;
};

// Not thread-safe.
class ChildProcess {
 public:
  // Fails if the program cannot be executed.
  static StatusOr<std::unique_ptr<ChildProcess>> Start(ChildOptions options);

  // Kills it if it still runs, with its process group, and waits. Who left the group lives on; its output is not read.
  virtual ~ChildProcess() = default;

  virtual pid_t pid() const = 0;

  // Waits until it ends, at most `length`; nullopt if it still runs then or `stop` was requested. When it has ended, what
  // it started is ended too, and its last lines have come.
  virtual std::optional<ExitReason> Wait(absl::Duration length, std::stop_token stop) = 0;

  // To it and what it started.
  virtual void Signal(int signal) = 0;

  // SIGTERM, then after `grace` SIGKILL; returns when it is gone.
  virtual ExitReason Stop(absl::Duration grace) = 0;
};

// Runs a program to its end (at most `limit`) and returns what it printed, on stdout and stderr (at most 64 KiB).
// Another exit code than 0 is kFailedPrecondition with the beginning of that.
StatusOr<std::string> RunAndRead(std::vector<std::string> argv, absl::Duration limit);

// Where `program` is: itself if it has a slash, else the first executable of that name on PATH.
StatusOr<std::string> FindProgram(const std::string& program);

}  // namespace holdfast
