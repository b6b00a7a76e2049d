// The running server that a command talks to: --etcd-server and --etcd-token, or --server and --token on the command line
// (in a configuration file those say whom to join, not whom to ask); else the one on this host with the token of its data
// directory.
#pragma once

#include <string>

#include "base/redacted.h"
#include "cli/commands.h"
#include "supervisor_client/supervisor_client.h"

namespace holdfast {

bool IsServerNamed(const Settings& settings);
std::string ServerUrlOf(const CommandContext& context);

// kUnavailable if nobody answers there.
StatusOr<SupervisorClient> ConnectToServer(const CommandContext& context, HttpClient& http);

}  // namespace holdfast
