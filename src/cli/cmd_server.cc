#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/progress_bar.h"
#include "etcd/server_process.h"
#include "ops/datastores.h"
#include "os/host.h"
#include "os/system_clock.h"
#include "server/server.h"

namespace holdfast {

Status ExpectNoPositionals(const CommandContext& context) {
  if (context.positionals.empty()) return OkStatus();
  return InvalidArgumentError("this command does not take any arguments, found \"{}\"",
                              context.positionals[0]);
}

Status CheckOutputFormat(const std::string& output) {
  if (output == "table" || output == "json" || output == "yaml") return OkStatus();
  return InvalidArgumentError("invalid output format: {}", output);
}

namespace {

Status DryRun(const CommandContext& context, const ServerOptions& options,
              const ServerContext& server) {
  const std::string output = context.settings.Text("output");
  RETURN_IF_ERROR(CheckOutputFormat(output));
  ResetPlan plan;
  const Status status =
      PlanServerReset(options, server, Environment("TMPDIR").value_or("/tmp"), plan);
  PrintResetPlan(plan, status, output, context.host.now);
  return status;
}

}  // namespace

Status RunServerCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  ASSIGN_OR_RETURN(const ServerOptions options,
                   MakeServerOptions(context.settings, context.distribution, context.host));
  if (const auto kind = KindOfEndpoint(options.datastore.endpoint);
      !options.datastore.endpoint.empty() && !kind.ok()) {
    return WithHint(context.settings.Invalid("datastore-endpoint", MessageOf(kind.status())),
                    HintOf(kind.status()));
  }
  ProgressBar bar(SystemClock(), "Restoring", context.terminal);
  const ServerContext server{
      .fs = PosixFileSystem(),
      .clock = SystemClock(),
      .random = SystemRandom(),
      .distribution = context.distribution,
      .working_directory = context.host.working_directory,
      .version = HOLDFAST_VERSION,
      .stop = context.stop,
      .open_s3 = MakeS3Opener(PosixFileSystem(), SystemClock(), SystemRandom(), context.stop),
      .on_progress = [&](std::string_view step, std::uint64_t done, std::uint64_t total) {
        bar.Begin(step);
        bar.Update(done, total);
      }};
  return options.dry_run ? DryRun(context, options, server) : RunServer(options, server);
}

Status RunVersionCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  const auto binary = FindProgram(context.settings.Text("etcd-binary"));
  std::string etcd = MessageOf(binary.status());
  if (binary.ok()) {
    const auto version = etcd::ProgramVersion(*binary);
    etcd = version.ok() ? fmt::format("{} ({})", *version, *binary) : MessageOf(version.status());
  }
  std::fputs(fmt::format("{} version {}\netcd version {}\n", context.distribution.name,
                         HOLDFAST_VERSION, etcd)
                 .c_str(),
             stdout);
  return OkStatus();
}

}  // namespace holdfast
