// The commands behind the words. Each gets its settings, does its work through ops, server or a running server, and
// returns a status that becomes the exit code.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/distribution.h"
#include "config/server_options.h"

namespace holdfast {

struct CommandContext {
  const Distribution& distribution;
  const Settings& settings;
  const std::vector<std::string>& positionals;
  HostFacts host;
  bool terminal = false;  // stderr is one
  std::stop_token stop;
};

Status RunServerCommand(const CommandContext& context);
// save, ls, prune, delete: through the running server, or (all but save) on the local directory while it is down.
Status RunSnapshotCommand(const CommandContext& context);
Status RunStatusCommand(const CommandContext& context);
Status RunRestoreCommand(const CommandContext& context);
Status RunVersionCommand(const CommandContext& context);

// kInvalidArgument unless there are none.
Status ExpectNoPositionals(const CommandContext& context);

}  // namespace holdfast
