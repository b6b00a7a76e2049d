// An etcd of ours from start to stop: its configuration file, its process, a client to it, and the wait until it serves.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "etcd/client.h"
#include "etcd/server_config.h"
#include "etcd/server_process.h"
#include "os/file_system.h"

namespace holdfast::etcd {

struct RunOptions {
  std::string binary;
  ServerConfig config;
  std::string config_path;
};

class RunningServer {
 public:
  // Writes the configuration (0600) and starts etcd. It ends with the calling thread (os/process.h).
  static StatusOr<std::unique_ptr<RunningServer>> Start(FileSystem& fs, Clock& clock,
                                                        const RunOptions& options);

  // Asks CheckHealthAndCure() again and again. kFailedPrecondition if etcd ended (with its last words) or will not heal;
  // kDeadlineExceeded after `timeout`, with the last reason; kCancelled. Says every few seconds in the log what it waits
  // for.
  Status WaitHealthy(absl::Duration timeout, std::stop_token stop);

  // Outlives this if somebody holds it; then its calls fail. Null after Stop().
  const std::shared_ptr<Client>& client() { return client_; }
  ServerProcess& process() { return *process_; }

  // That it ended, and its last words: kFailedPrecondition.
  Status Ended(const ExitReason& reason) const;

  // SIGTERM, and SIGKILL if it does not end within seconds. Our own connection is closed first: etcd waits for it.
  // client() is null then; whoever still holds it delays the end.
  void Stop();

 private:
  RunningServer(Clock& clock, int client_port, std::shared_ptr<Client> client,
                std::unique_ptr<ServerProcess> process)
      : clock_(clock),
        client_port_(client_port),
        client_(std::move(client)),
        process_(std::move(process)) {}
  Status Health();

  Clock& clock_;
  const int client_port_;
  std::shared_ptr<Client> client_;
  std::unique_ptr<ServerProcess> process_;
};

// How long an etcd may take until it serves: it reads its whole database at start, which may be many gigabytes on a slow
// disk.
inline constexpr absl::Duration kStartTimeout = absl::Minutes(10);

}  // namespace holdfast::etcd
