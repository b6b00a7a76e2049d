#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/text.h"

namespace holdfast {
namespace {

// What logrus leaves unquoted; everything else stands in double quotes with Go's escapes.
bool NeedsNoQuotes(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._/@^+").find(c) != std::string_view::npos;
    if (!plain) return false;
  }
  return true;
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (const std::string_view escape = ShortEscape(c); !escape.empty()) {
      out += escape;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string_view LevelWord(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::warn:
      return "warning";
    case spdlog::level::err:
      return "error";
    case spdlog::level::critical:
      return "fatal";
    default:
      return "info";
  }
}

class LogrusFormatter final : public spdlog::formatter {
 public:
  LogrusFormatter(bool terminal, std::chrono::steady_clock::time_point start)
      : terminal_(terminal), start_(start) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string_view level = LevelWord(message.level);
    if (terminal_) {
      static constexpr std::size_t kShort = 4;
      std::string word(level.substr(0, kShort));
      for (char& c : word) c = static_cast<char>(c - 'a' + 'A');
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::steady_clock::now() - start_)
                               .count();
      fmt::format_to(std::back_inserter(out), "{}[{:04}] {}\n", word, seconds, text);
      return;
    }
    fmt::format_to(std::back_inserter(out), "time=\"{}\" level={} msg={}\n",
                   FormatRfc3339(absl::FromChrono(message.time), absl::LocalTimeZone()), level,
                   NeedsNoQuotes(text) ? std::string(text) : Quote(text));
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LogrusFormatter>(terminal_, start_);
  }

 private:
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
};

std::unique_ptr<spdlog::logger> MakeLogger(const LogOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<spdlog::sink_ptr> sinks;
  if (options.to_stderr) {
    sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    sinks.back()->set_formatter(std::make_unique<LogrusFormatter>(options.terminal, start));
  }
  if (!options.file.empty()) {
    sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    sinks.back()->set_formatter(std::make_unique<LogrusFormatter>(false, start));
  }
  auto logger = std::make_unique<spdlog::logger>("holdfast", sinks.begin(), sinks.end());
  logger->set_level(options.debug ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::debug);
  return logger;
}

// The one global of the program: a log line can be written from anywhere.
std::unique_ptr<spdlog::logger>& Logger() {
  static std::unique_ptr<spdlog::logger> logger = MakeLogger({});
  return logger;
}

}  // namespace

Status StartLog(const LogOptions& options) {
  try {
    Logger() = MakeLogger(options);
  } catch (const spdlog::spdlog_ex& error) {  // the library's only way to say it
    return FailedPreconditionError("open log file {}: {}", options.file, error.what());
  }
  return OkStatus();
}

bool LogsDebug() { return Logger()->should_log(spdlog::level::debug); }

void LogLine(LogLevel level, std::string_view message) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err,
                                                          spdlog::level::critical};
  Logger()->log(kLevels[static_cast<int>(level)],
                spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace holdfast
