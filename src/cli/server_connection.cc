#include "cli/server_connection.h"

#include "base/layout.h"
#include "base/text.h"
#include "os/file_system.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kTokenBytesMax = 64 * kKiB;

StatusOr<Secret> TokenOf(const CommandContext& context) {
  const Settings& settings = context.settings;
  for (const char* flag : {"token", "etcd-token"}) {
    if (settings.IsSet(flag)) return settings.SecretText(flag);
  }
  const DataLayout layout(DataDirFrom(settings, context.distribution, context.host));
  auto text = ReadFile(PosixFileSystem(), layout.token(), kTokenBytesMax);
  if (!text.ok())
    return WithHint(Annotate(text.status(), "server token"),
                    "Give it with --etcd-token, or the data directory with --data-dir.");
  return Secret(std::string(Trim(*text)));
}

}  // namespace

bool IsServerNamed(const Settings& settings) {
  return !settings.Text("server").empty() || !settings.Text("etcd-server").empty();
}

std::string ServerUrlOf(const CommandContext& context) {
  const Settings& settings = context.settings;
  for (const char* flag : {"server", "etcd-server"}) {
    std::string url = settings.Text(flag);
    if (url.empty()) continue;
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  const std::string port = settings.Text("supervisor-port");
  return fmt::format("https://127.0.0.1:{}",
                     port.empty() ? fmt::format("{}", context.distribution.supervisor_port) : port);
}

StatusOr<SupervisorClient> ConnectToServer(const CommandContext& context, HttpClient& http) {
  const std::string url = ServerUrlOf(context);
  RETURN_IF_ERROR(CheckServerUrl(url));
  ASSIGN_OR_RETURN(const Secret token, TokenOf(context));
  auto client = SupervisorClient::Connect(http, url, token);
  if (absl::IsUnavailable(client.status())) {
    return WithHint(client.status(),
                    "A server of the cluster must be running; another one is named with "
                    "--etcd-server.");
  }
  return client;
}

}  // namespace holdfast
