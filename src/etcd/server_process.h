// The etcd process we run: how it is started, what its log lines become, what version it is.
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "os/process.h"

namespace holdfast::etcd {

// "3.4.23" of `etcd --version`.
StatusOr<std::string> ProgramVersion(const std::string& binary);

// One line of etcd's log for ours: its level, and its text without the JSON around it.
struct LogLineParts {
  enum class Level { kInfo, kWarn, kError } level = Level::kInfo;
  std::string text;
  // Not: etcd's logger is not at work yet (or no more), or it is another program's line.
  bool is_json = false;
};
LogLineParts ParseLogLine(std::string_view line);

// Starts `binary --config-file config_path`. Its warnings and errors go to our log as "etcd: ..."; the rest too with
// --debug. It ends with the thread that called this (os/process.h).
class ServerProcess {
 public:
  static StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& binary,
                                                        const std::string& config_path);

  ChildProcess& child() { return *child_; }
  // Why it died, usually: the last errors it wrote, or if there are none its warnings and what it said outside its log.
  std::string LastWords() const;

 private:
  ServerProcess() = default;
  void OnLine(std::string_view line);
  void Remember(const std::string& text, bool error);

  mutable Mutex mutex_;
  std::string last_words_ HF_GUARDED_BY(mutex_);
  bool errors_only_ HF_GUARDED_BY(mutex_) = false;
  std::unique_ptr<ChildProcess> child_;  // last: its reader thread uses the above
};

}  // namespace holdfast::etcd
