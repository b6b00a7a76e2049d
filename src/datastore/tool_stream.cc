#include "datastore/tool_stream.h"

#include <signal.h>

#include <deque>

#include "base/mutex.h"
#include "base/path.h"
#include "os/pipe.h"
#include "os/process.h"

namespace holdfast {
namespace {

// Of what it said last: enough for the reason, short enough for one line of a log.
constexpr std::size_t kLinesKept = 8, kLineBytesMax = 400;

// The process, what it said, and how it ended.
class Tool {
 public:
  explicit Tool(const ToolOptions& options)
      : name_(BaseName(options.argv[0])), wait_{options.stall_timeout, options.stop} {}

  // `input`, `output`: what it gets as its own (os/process.h).
  static StatusOr<std::unique_ptr<Tool>> Start(const ToolOptions& options, Fd input, Fd output) {
    CHECK(!options.argv.empty());
    auto tool = std::make_unique<Tool>(options);
    ASSIGN_OR_RETURN(
        tool->child_,
        ChildProcess::Start({.argv = options.argv,
                             .environment = options.environment,
                             .input = std::move(input),
                             .output = std::move(output),
                             .on_output_line = [t = tool.get()](auto line) { t->Keep(line); }}));
    return tool;
  }

  const PipeWait& wait() const { return wait_; }

  // Waits for its end; OK if it says that all went well.
  Status End() {
    const auto reason = child_->Wait(wait_.stall_timeout, wait_.stop);
    if (!reason) {
      child_->Signal(SIGKILL);
      if (wait_.stop.stop_requested()) return Say(CancelledError("stopped"));
      return Say(DeadlineExceededError("did not end"));
    }
    if (reason->code == 0 && reason->signal == 0) return OkStatus();
    return Say(FailedPreconditionError("{}", reason->Describe()));
  }

  // After a transfer through its pipe has failed.
  Status Fail(const Status& status) {
    child_->Signal(SIGKILL);
    return Say(status);
  }

  // The error with the tool's name before it and its last words behind it.
  Status Say(const Status& status) {
    std::string text = fmt::format("{}: {}", name_, MessageOf(status));
    const MutexLock lock(mutex_);
    for (const std::string& line : lines_) text += (&line == &lines_.front() ? ": " : "; ") + line;
    return MakeStatus(status.code(), text);
  }

 private:
  void Keep(std::string_view line) {
    if (line.empty()) return;
    const MutexLock lock(mutex_);
    if (lines_.size() == kLinesKept) lines_.pop_front();
    lines_.emplace_back(line.substr(0, kLineBytesMax));
  }

  const std::string name_;
  const PipeWait wait_;
  Mutex mutex_;
  std::deque<std::string> lines_ HF_GUARDED_BY(mutex_);
  std::unique_ptr<ChildProcess> child_;  // the last member: its thread calls Keep()
};

class ToolSource final : public Source {
 public:
  ToolSource(std::unique_ptr<Tool> tool, Fd pipe)
      : tool_(std::move(tool)), pipe_(std::move(pipe)) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    if (ended_) return 0;
    const StatusOr<std::size_t> n = ReadPipe(pipe_, out, tool_->wait());
    if (!n.ok()) return tool_->Fail(n.status());
    if (*n == 0) {
      RETURN_IF_ERROR(tool_->End());
      ended_ = true;
    }
    return *n;
  }

 private:
  const std::unique_ptr<Tool> tool_;
  const Fd pipe_;
  bool ended_ = false;
};

class ToolSink final : public Sink {
 public:
  ToolSink(std::unique_ptr<Tool> tool, Fd pipe) : pipe_(std::move(pipe)), tool_(std::move(tool)) {}

  Status Write(ByteSpan data) override {
    const StatusOr<bool> taken = WritePipe(pipe_, data, tool_->wait());
    if (!taken.ok()) return tool_->Fail(taken.status());
    if (*taken) return OkStatus();
    RETURN_IF_ERROR(tool_->End());
    return tool_->Say(FailedPreconditionError("ended before it had taken everything"));
  }

  Status Finish() override {
    pipe_.Reset();
    return tool_->End();
  }

 private:
  Fd pipe_;
  const std::unique_ptr<Tool>
      tool_;  // killed before the pipe is closed: half of it is not all of it
};

}  // namespace

StatusOr<std::unique_ptr<Source>> ReadFromTool(const ToolOptions& options) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  RETURN_IF_ERROR(PreparePipe(pipe.read));
  ASSIGN_OR_RETURN(auto tool, Tool::Start(options, Fd(), std::move(pipe.write)));
  return std::make_unique<ToolSource>(std::move(tool), std::move(pipe.read));
}

StatusOr<std::unique_ptr<Sink>> WriteToTool(const ToolOptions& options) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  RETURN_IF_ERROR(PreparePipe(pipe.write));
  ASSIGN_OR_RETURN(auto tool, Tool::Start(options, std::move(pipe.read), Fd()));
  return std::make_unique<ToolSink>(std::move(tool), std::move(pipe.write));
}

}  // namespace holdfast
