#include <fmt/format.h>

#include <cstdio>

#include "base/layout.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/server_connection.h"
#include "cli/table.h"
#include "identity/token_files.h"
#include "os/file_system.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kTokenBytesMax = 64 * kKiB;

// The only place that prints secrets: because it was asked to.
Status Show(const CommandContext& context) {
  FileSystem& fs = PosixFileSystem();
  const DataLayout layout(DataDirFrom(context.settings, context.distribution, context.host));
  std::vector<std::vector<std::string>> rows = {{"For", "Token hash", "Token"}};
  for (const auto& [use, path] :
       {std::pair{"servers", layout.token()}, {"agents", layout.agent_token()}}) {
    const auto text = ReadFile(fs, path, kTokenBytesMax);
    if (!text.ok())
      return WithHint(text.status(),
                      "Run it on a server of the cluster, as root; --data-dir names its data.");
    ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(*text), "{}", path);
    rows.push_back({use, TokenHash(token.password), std::string(Trim(*text))});
  }
  std::fputs(FormatTable(rows).c_str(), stdout);
  return OkStatus();
}

Status Rotate(const CommandContext& context) {
  Secret token = context.settings.SecretText("new-token");
  const bool made = token.empty();
  if (made) token = NewPassword(SystemRandom());
  RETURN_IF_ERROR(ParseServerToken(token.reveal()).status(), "new token");
  const auto http = MakeHttpClient();
  ASSIGN_OR_RETURN(SupervisorClient client, ConnectToServer(context, *http));
  RETURN_IF_ERROR(client.RotateToken(context.distribution.name, token));
  LogInfo("Token rotated, restart {} nodes with new token", context.distribution.name);
  if (made)
    LogInfo("The new token was made at random; on the server that did it: {} token show",
            context.distribution.name);
  LogInfo("Snapshots taken before need the token of their time (--token) to be restored: keep it.");
  return OkStatus();
}

}  // namespace

Status RunTokenCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  return context.settings.command() == kTokenShow ? Show(context) : Rotate(context);
}

}  // namespace holdfast
