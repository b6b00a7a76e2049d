// What every server does around its datastore, whichever that is: the lock on its data directory, its name, tokens and
// ports, the supervisor's listener, and the wait for its end.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "api/http_server.h"
#include "base/layout.h"
#include "ops/server_files.h"
#include "os/service_notify.h"
#include "server/server.h"

namespace holdfast {

// Enough for tokens, certificates and names.
inline constexpr std::uint64_t kSmallFileMax = 1 * kMiB;

// Held while a server (or a reset) runs on a data directory. The file's content is the holder's pid, and empty after an end
// in order.
struct DataDirLock {
  std::unique_ptr<File> file;
  bool holder_was_killed = false;
};
// kAborted names the holder.
StatusOr<DataDirLock> LockDataDir(FileSystem& fs, const DataLayout& layout);
// The end in order.
void Unlock(DataDirLock& lock);
// As LockDataDir, without writing.
Status CheckNobodyRuns(FileSystem& fs, const DataLayout& layout);

// With its id, if it shall have one.
StatusOr<std::string> NodeNameOf(const ServerOptions& options, const ServerContext& context,
                                 const DataLayout& layout);

struct ServerTokens {
  Secret as_known;  // with its CA hash, if anybody wrote it down
  // The password that is in force is empty if there is none yet.
  ServerFilesOptions files;
};
StatusOr<ServerTokens> ReadTokens(const ServerOptions& options, const ServerContext& context,
                                  const DataLayout& layout, const std::string& node_name);

struct WantedPort {
  std::string address;
  int port;
  const char* flag;
};
// After a predecessor was killed its etcd may still be dying: then it waits a little.
Status CheckPortsFree(const std::vector<WantedPort>& wanted, const ServerContext& context,
                      bool predecessor_was_killed);

StatusOr<std::unique_ptr<HttpServer>> StartSupervisor(const ServerOptions& options,
                                                      const ServerContext& context,
                                                      const DataLayout& layout,
                                                      Authenticate authenticate,
                                                      std::vector<Route> routes);

// Until the context's stop or `give_up` is requested; feeds the service manager's watchdog.
void WaitForEnd(const ServerContext& context, const ServiceNotifier& notifier,
                const std::stop_token& give_up);

}  // namespace holdfast
