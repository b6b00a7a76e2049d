// The running server that a command talks to: --etcd-server and --etcd-token, else the one on this host with the token of
// its data directory.
#pragma once

#include <string>

#include "base/redacted.h"
#include "cli/commands.h"
#include "supervisor_client/supervisor_client.h"

namespace holdfast {

std::string ServerUrlOf(const CommandContext& context);

// kUnavailable if nobody answers there.
StatusOr<SupervisorClient> ConnectToServer(const CommandContext& context, HttpClient& http);

}  // namespace holdfast
