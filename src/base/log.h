// Log lines for operators, on stderr, in the form RKE2's users and their tools know (logrus):
//   not a terminal: time="2025-07-22T10:02:03Z" level=info msg="Snapshot x saved."
//   a terminal:     INFO[0000] Snapshot x saved.
// The number in brackets is seconds since start. One line is one event; nothing secret is passed here (see redacted.h).
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace holdfast {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kFatal };

struct LogOptions {
  bool debug = false;
  bool terminal = false;  // the short form on stderr
  std::string file;       // append to this file; empty: none
  bool to_stderr = true;
};

// Sets up the log; call once, before the first line and before threads. Without it lines go to stderr in the long form.
// Fails if the file cannot be opened; the log is then as it was.
Status StartLog(const LogOptions& options);

void LogLine(LogLevel level, std::string_view message);
bool LogsDebug();

template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  if (LogsDebug()) LogLine(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarn(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}
// The last words of a command that failed. It only logs; the caller ends the program.
template <typename... Args>
void LogFatal(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kFatal, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace holdfast
