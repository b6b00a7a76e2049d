#include "postgres/tools.h"

#include <algorithm>
#include <vector>

#include "base/path.h"
#include "base/text.h"
#include "os/process.h"

namespace holdfast::postgres {
namespace {

constexpr char kDebianVersions[] = "/usr/lib/postgresql";
constexpr absl::Duration kVersionPatience = absl::Seconds(30);

// First that of PATH, then Debian's from the newest on.
std::vector<std::string> Candidates(FileSystem& fs, const std::string& name) {
  std::vector<std::string> out;
  if (const auto path = FindProgram(name); path.ok()) out.push_back(*path);
  std::vector<std::uint64_t> versions;
  if (const auto entries = fs.List(kDebianVersions); entries.ok()) {
    for (const DirectoryEntry& entry : *entries) {
      if (const auto version = ParseUint(entry.name)) versions.push_back(*version);
    }
  }
  std::sort(versions.rbegin(), versions.rend());
  for (const std::uint64_t version : versions) {
    const std::string path = JoinPath(kDebianVersions, fmt::format("{}/bin", version), name);
    if (FindProgram(path).ok()) out.push_back(path);
  }
  return out;
}

}  // namespace

int MajorOf(std::string_view version_line) {
  constexpr std::string_view kName = "(PostgreSQL) ";
  const std::size_t at = version_line.find(kName);
  if (at == std::string_view::npos) return 0;
  version_line.remove_prefix(at + kName.size());
  const auto end = std::min(version_line.find_first_not_of("0123456789"), version_line.size());
  return static_cast<int>(ParseUint(version_line.substr(0, end)).value_or(0) % 1000);
}

StatusOr<Tool> FindTool(FileSystem& fs, const std::string& name, int major) {
  std::string found;
  for (const std::string& path : Candidates(fs, name)) {
    const auto line = RunAndRead({path, "--version"}, kVersionPatience);
    const Tool tool{path, line.ok() ? MajorOf(*line) : 0};
    if (tool.major >= major) return tool;
    if (!found.empty()) found += ", ";
    found += tool.major == 0 ? fmt::format("{} does not tell its version", path)
                             : fmt::format("{} is of version {}", path, tool.major);
  }
  return WithHint(
      FailedPreconditionError("{} of version {} or later is needed{}{}", name, major,
                              found.empty() ? ", and there is none" : ": ", found),
      fmt::format(
          "Install the package postgresql-client-{} (for versions that Debian does not have: "
          "apt.postgresql.org).",
          major));
}

}  // namespace holdfast::postgres
