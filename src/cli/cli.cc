#include "cli/cli.h"

#include <cerrno>
#include <cstdio>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/help.h"
#include "config/load.h"
#include "os/host.h"
#include "os/signals.h"
#include "os/system_clock.h"

namespace holdfast {
namespace {

Status StartLogFor(const Settings& settings, bool terminal) {
  LogOptions log{.terminal = terminal};
  if (FindFlag(settings.command(), "debug") != nullptr) {
    ASSIGN_OR_RETURN(log.debug, settings.Bool("debug"));
  }
  if (FindFlag(settings.command(), "log") != nullptr && !settings.Text("log").empty()) {
    log.file = settings.Text("log");
    ASSIGN_OR_RETURN(log.to_stderr, settings.Bool("alsologtostderr"));
  }
  return StartLog(log);
}

Status RunCommand(const CommandContext& context) {
  switch (context.settings.command()) {
    case kServer:
      return RunServerCommand(context);
    case kSnapshotSave:
    case kSnapshotList:
    case kSnapshotPrune:
    case kSnapshotDelete:
      return RunSnapshotCommand(context);
    case kSnapshotStatus:
      return RunStatusCommand(context);
    case kS3Check:
      return RunS3CheckCommand(context);
    case kRestore:
      return RunRestoreCommand(context);
    case kAgent:
      return RunAgentCommand(context);
    case kNodeList:
    case kNodeRemove:
      return RunNodeCommand(context);
    case kTokenShow:
    case kTokenRotate:
      return RunTokenCommand(context);
    case kCertificateRotate:
      return RunCertificateCommand(context);
    case kDatastoreStatus:
    case kDatastoreMigrate:
      return RunDatastoreCommand(context);
    case kVersion:
      return RunVersionCommand(context);
  }
  return InternalError("no such command");
}

Status Run(const std::vector<std::string>& arguments, const Distribution& distribution,
           std::stop_token stop) {
  const bool terminal = StderrIsTerminal();
  RETURN_IF_ERROR(StartLog({.terminal = terminal}));
  if (arguments.size() == 1 && arguments[0] == "man-page") {
    std::fputs(ManualPage(distribution).c_str(), stdout);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const CommandLine line, ParseArguments(arguments));
  if (line.help) {
    std::fputs(HelpText(line.words, distribution).c_str(), stdout);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(
      const Settings settings,
      LoadSettings(
          line, {.fs = PosixFileSystem(),
                 .distribution = distribution,
                 .environment = [](const std::string& name) { return Environment(name.c_str()); },
                 .warn = [](const std::string& text) { LogWarn("{}", text); }}));
  RETURN_IF_ERROR(StartLogFor(settings, terminal));
  return RunCommand({.distribution = distribution,
                     .settings = settings,
                     .positionals = line.positionals,
                     .host = {.host_name = HostName(),
                              .node_address = NodeAddress(),
                              .working_directory = WorkingDirectory(),
                              .zone = absl::LocalTimeZone(),
                              .now = SystemClock().Now()},
                     .terminal = terminal,
                     .stop = stop});
}

// What was printed has arrived; a reader that went away early had enough of it.
Status FlushOutput() {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  return failed && errno != EPIPE ? ErrnoError(errno, "write to standard output") : OkStatus();
}

}  // namespace

int Main(int argc, char** argv) {
  KeepHeapSmall();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  // Secrets on the command line are not for everybody who can run ps.
  HideArguments(argc, argv,
                {"server", "agent", "etcd-snapshot", "save", "ls", "prune", "delete", "status",
                 "s3-check", "restore", "node", "remove", "token", "show", "rotate", "certificate",
                 "datastore", "migrate"});
  const SignalStop signals;
  Status status = Run(arguments, DistributionFor(argv[0]), signals.token());
  if (status.ok()) status = FlushOutput();
  if (status.ok()) return kExitDone;
  LogFatal("Error: {}", MessageOf(status));
  if (const std::string hint = HintOf(status); !hint.empty()) LogInfo("Hint: {}", hint);
  return ExitCodeOf(status);
}

}  // namespace holdfast
