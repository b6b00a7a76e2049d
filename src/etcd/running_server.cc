#include "etcd/running_server.h"

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "etcd/health.h"
#include "os/atomic_file.h"
#include "os/host.h"

namespace holdfast::etcd {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200),
                         kReportInterval = absl::Seconds(5);
// With clients connected etcd waits for them: 5 s and two election time-outs.
constexpr absl::Duration kStopGrace = absl::Seconds(20);
constexpr std::uint64_t kPemBytesMax = 1 * kMiB;

StatusOr<std::unique_ptr<Client>> ConnectTo(FileSystem& fs, const ServerConfig& config) {
  ClientOptions options{.endpoint = fmt::format("127.0.0.1:{}", config.ports.client),
                        .call_timeout = absl::Seconds(5)};
  ASSIGN_OR_RETURN(options.ca_pem,
                   ReadFile(fs, JoinPath(config.tls_dir, "server-ca.crt"), kPemBytesMax));
  ASSIGN_OR_RETURN(options.certificate_pem,
                   ReadFile(fs, JoinPath(config.tls_dir, "client.crt"), kPemBytesMax));
  ASSIGN_OR_RETURN(std::string key,
                   ReadFile(fs, JoinPath(config.tls_dir, "client.key"), kPemBytesMax));
  options.key_pem = Secret(std::move(key));
  return Connect(options);
}

}  // namespace

StatusOr<std::unique_ptr<RunningServer>> RunningServer::Start(FileSystem& fs, Clock& clock,
                                                              const RunOptions& options) {
  ASSIGN_OR_RETURN(const std::string config, EncodeServerConfig(options.config));
  RETURN_IF_ERROR(WriteFileAtomically(fs, options.config_path, config, 0600));
  ASSIGN_OR_RETURN(auto client, ConnectTo(fs, options.config));
  ASSIGN_OR_RETURN(auto process, ServerProcess::Start(options.binary, options.config_path),
                   "start etcd");
  return std::unique_ptr<RunningServer>(
      new RunningServer(clock, options.config.ports.client, std::move(client), std::move(process)));
}

Status RunningServer::Ended(const ExitReason& reason) const {
  const std::string last_words = process_->LastWords();
  return FailedPreconditionError("etcd ended with {}{}{}", reason.Describe(),
                                 last_words.empty() ? "" : ": ", last_words);
}

Status RunningServer::Health() {
  // gRPC waits for seconds after an attempt that failed, so it is not asked before somebody listens.
  if (CheckPortFree("127.0.0.1", client_port_).ok())
    return UnavailableError("etcd does not listen on port {} yet", client_port_);
  return CheckHealthAndCure(*client_);
}

Status RunningServer::WaitHealthy(absl::Duration timeout, std::stop_token stop) {
  const Deadline deadline(clock_, timeout);
  absl::Duration next_report = clock_.Steady() + kReportInterval;
  while (true) {
    const Status health = Health();
    if (health.ok()) return health;
    if (const auto reason = process_->child().Wait(kPollInterval, stop)) return Ended(*reason);
    if (stop.stop_requested()) return CancelledError("stopped while waiting for etcd");
    const bool may_heal = absl::IsUnavailable(health) || absl::IsDeadlineExceeded(health);
    if (!may_heal) return health;
    if (deadline.passed()) {
      return DeadlineExceededError("etcd did not become healthy within {}: {}",
                                   FormatGoDuration(timeout), MessageOf(health));
    }
    if (clock_.Steady() >= next_report) {
      LogInfo("Waiting for etcd to become healthy: {}", MessageOf(health));
      next_report = clock_.Steady() + kReportInterval;
    }
  }
}

void RunningServer::Stop() {
  // etcd waits for its clients to go, up to fifteen seconds.
  client_.reset();
  process_->child().Stop(kStopGrace);
}

}  // namespace holdfast::etcd
