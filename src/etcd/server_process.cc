#include "etcd/server_process.h"

#include <nlohmann/json.hpp>

#include "base/distribution.h"
#include "base/log.h"
#include "base/text.h"

namespace holdfast::etcd {
namespace {
constexpr absl::Duration kVersionTimeout = absl::Seconds(20);
}

StatusOr<std::string> ProgramVersion(const std::string& binary) {
  ASSIGN_OR_RETURN(const std::string output, RunAndRead({binary, "--version"}, kVersionTimeout));
  constexpr std::string_view kPrefix = "etcd Version: ";
  for (const std::string& line : Split(output, '\n')) {
    if (line.starts_with(kPrefix))
      return std::string(Trim(std::string_view(line).substr(kPrefix.size())));
  }
  return FailedPreconditionError("{} --version does not look like etcd's: {}", binary,
                                 Trim(output.substr(0, 200)));
}

LogLineParts ParseLogLine(std::string_view line) {
  LogLineParts parts;
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  parts.is_json = json.is_object();
  if (!parts.is_json) {
    parts.text = line;
    if (line.starts_with("[WARNING]")) parts.level = LogLineParts::Level::kWarn;
    if (line.starts_with("panic:") || line.starts_with("fatal error:"))
      parts.level = LogLineParts::Level::kError;
    return parts;
  }
  std::string fields;
  for (const auto& [key, value] : json.items()) {
    if (key == "ts" || key == "caller" || key == "stacktrace") continue;
    // Any line may come, so nothing is taken for a text that is none: the library would throw.
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (key == "msg") {
      parts.text = text;
    } else if (key == "level") {
      if (text == "warn") parts.level = LogLineParts::Level::kWarn;
      if (text == "error" || text == "panic" || text == "fatal" || text == "dpanic")
        parts.level = LogLineParts::Level::kError;
    } else {
      fields += fmt::format(" {}={}", key, text);
    }
  }
  parts.text += fields;
  return parts;
}

namespace {

// Warnings that starts of ours cause and that mean nothing: the files config and name lie beside member/, as in RKE2; tokens
// are only for etcd's own users, of which there are none; and on a slow machine the first election of a new cluster may come
// before its first members are applied, and comes again.
bool IsExpected(std::string_view text) {
  return text.starts_with("found invalid file under data directory") ||
         text.starts_with("simple token is not cryptographically signed") ||
         text.find(" cannot campaign at term 1 since there are still") != std::string_view::npos;
}

}  // namespace

void ServerProcess::OnLine(std::string_view line) {
  const LogLineParts parts = ParseLogLine(line);
  const bool quiet = parts.level == LogLineParts::Level::kInfo || IsExpected(parts.text);
  if (!quiet || !parts.is_json)
    Remember(parts.text, /*error=*/parts.level == LogLineParts::Level::kError);
  if (quiet) {
    LogDebug("etcd: {}", parts.text);
    return;
  }
  if (parts.level == LogLineParts::Level::kWarn) {
    LogWarn("etcd: {}", parts.text);
  } else {
    LogError("etcd: {}", parts.text);
  }
}

void ServerProcess::Remember(const std::string& text, bool error) {
  constexpr std::size_t kLastWordsMax = 2000;
  const MutexLock lock(mutex_);
  if (error && !errors_only_) last_words_.clear();
  errors_only_ |= error;
  if (errors_only_ && !error) return;
  last_words_ = last_words_.empty() ? text : last_words_ + "; " + text;
  if (last_words_.size() > kLastWordsMax) last_words_.erase(0, last_words_.size() - kLastWordsMax);
}

StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& binary,
                                                              const std::string& config_path) {
  std::unique_ptr<ServerProcess> process(new ServerProcess());
  // Our settings hold secrets, and what systemd tells us it tells only us: etcd would report READY in our name.
  // (ETCD_* may stay: with a configuration file etcd ignores all but ETCD_UNSUPPORTED_ARCH.)
  std::vector<std::string> hidden = {"AWS_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};
  for (const Distribution& distribution : Distributions())
    hidden.emplace_back(distribution.env_prefix);
  ASSIGN_OR_RETURN(
      process->child_,
      ChildProcess::Start(
          {.argv = {binary, "--config-file", config_path},
           .hidden_environment = std::move(hidden),
           .on_output_line = [p = process.get()](std::string_view line) { p->OnLine(line); }}));
  return process;
}

std::string ServerProcess::LastWords() const {
  const MutexLock lock(mutex_);
  return last_words_;
}

}  // namespace holdfast::etcd
