#include "base/layout.h"
#include "base/log.h"
#include "cli/commands.h"
#include "identity/certificates.h"
#include "os/file_system.h"
#include "os/system_clock.h"

namespace holdfast {

Status RunCertificateCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  FileSystem& fs = PosixFileSystem();
  const DataLayout layout(DataDirFrom(context.settings, context.distribution, context.host));
  ASSIGN_OR_RETURN(const bool has_server, Exists(fs, layout.tls()));
  if (!has_server) {
    return WithHint(FailedPreconditionError("there are no certificates in {}", layout.tls()),
                    "The data directory is named with --data-dir.");
  }
  ASSIGN_OR_RETURN(const auto lock, fs.OpenOrCreate(layout.lock(), 0600));
  if (const Status locked = lock->TryLock(); !locked.ok()) {
    return WithHint(Annotate(locked, fmt::format("a server runs on {}", layout.data_dir())),
                    "Stop it first: certificates are made anew when it starts.");
  }
  ASSIGN_OR_RETURN(const std::string backup, RetireLeaves(fs, layout, SystemClock().Now()));
  LogInfo(
      "The certificates of this node are made anew at the next start; the previous ones are in {}",
      backup);
  return OkStatus();
}

}  // namespace holdfast
