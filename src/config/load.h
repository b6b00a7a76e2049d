// Settings from all their places. Precedence: command line > drop-ins > configuration file > environment > default.
// Lists grow: file, then drop-ins, then command line.
//
// The file (RKE2's rules): YAML, one level; a missing one is fine; drop-ins are <file>.d/*.yaml and *.yml, by name; the same
// key later replaces, "key+" appends. Booleans are YAML 1.1's (yes, on), unquoted 0644 is octal, null is empty.
// A key that no command knows is an error that names file and line under our own name, and one warning in all under the
// names rke2 and k3s, whose files hold much that is none of ours. Keys of other commands are skipped silently.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/distribution.h"
#include "config/arguments.h"
#include "config/settings.h"
#include "os/file_system.h"

namespace holdfast {

struct LoadContext {
  FileSystem& fs;
  const Distribution& distribution;
  // nullopt if the variable is not set.
  std::function<std::optional<std::string>(const std::string&)> environment;
  // Told at most once, after everything was read.
  std::function<void(const std::string&)> warn;
};

// All values are of the right form afterwards (Settings::CheckAll).
StatusOr<Settings> LoadSettings(const CommandLine& line, const LoadContext& context);

}  // namespace holdfast
