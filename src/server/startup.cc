#include "server/startup.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "keys/token.h"
#include "os/atomic_file.h"
#include "os/host.h"

namespace holdfast {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
// How long an etcd may take to die after the server that was killed.
constexpr absl::Duration kOrphanPatience = absl::Seconds(5), kOrphanPoll = absl::Milliseconds(100);

// What a try to lock means, in words.
Status Locked(const Status& locked, FileSystem& fs, const DataLayout& layout) {
  if (!absl::IsAborted(locked)) return locked;
  const std::string holder(Trim(ReadFile(fs, layout.lock(), kSmallFileMax).value_or("")));
  return WithHint(AbortedError("another server is running on {}{}", layout.data_dir(),
                               holder.empty() ? "" : fmt::format(" (pid {})", holder)),
                  "Stop it first; with systemd: systemctl stop holdfast-server.");
}

}  // namespace

StatusOr<DataDirLock> LockDataDir(FileSystem& fs, const DataLayout& layout) {
  DataDirLock lock;
  ASSIGN_OR_RETURN(lock.file, fs.OpenOrCreate(layout.lock(), 0600));
  RETURN_IF_ERROR(Locked(lock.file->TryLock(), fs, layout));
  ASSIGN_OR_RETURN(const std::string holder, ReadFile(fs, layout.lock(), kSmallFileMax));
  lock.holder_was_killed = !Trim(holder).empty();
  RETURN_IF_ERROR(lock.file->Truncate(0));
  RETURN_IF_ERROR(lock.file->WriteAt(0, BytesOf(fmt::format("{}\n", ::getpid()))));
  return lock;
}

void Unlock(DataDirLock& lock) {
  // best effort: it only tells the next start that no etcd of ours can be left
  (void)lock.file->Truncate(0);
  lock.file.reset();
}

Status CheckNobodyRuns(FileSystem& fs, const DataLayout& layout) {
  const auto lock = fs.OpenForRead(layout.lock());
  if (absl::IsNotFound(lock.status())) return OkStatus();
  RETURN_IF_ERROR(lock.status());
  return Locked((*lock)->TryLock(), fs, layout);
}

StatusOr<std::string> NodeNameOf(const ServerOptions& options, const ServerContext& context,
                                 const DataLayout& layout) {
  if (!options.with_node_id) return options.node_name;
  auto id = ReadFile(context.fs, layout.node_id(), kSmallFileMax);
  if (absl::IsNotFound(id.status())) {
    id = context.random.Hex(4);
    if (!options.dry_run)
      RETURN_IF_ERROR(WriteFileAtomically(context.fs, layout.node_id(), *id, 0600));
  }
  RETURN_IF_ERROR(id.status());
  return options.node_name + "-" + std::string(Trim(*id));
}

StatusOr<ServerTokens> ReadTokens(const ServerOptions& options, const ServerContext& context,
                                  const DataLayout& layout, const std::string& node_name) {
  Secret given = options.token, agent = options.agent_token;
  if (!options.token_file.empty()) {
    ASSIGN_OR_RETURN(given,
                     WaitForTokenFile(context.fs, context.clock, options.token_file, context.stop));
  }
  if (!options.agent_token_file.empty()) {
    ASSIGN_OR_RETURN(
        agent, WaitForTokenFile(context.fs, context.clock, options.agent_token_file, context.stop));
  }
  ServerTokens out;
  ASSIGN_OR_RETURN(out.files.tokens.password, ServerPassword(context.fs, layout, given));
  out.as_known = !given.empty()
                     ? given
                     : Secret(std::string(
                           Trim(ReadFile(context.fs, layout.token(), kSmallFileMax).value_or(""))));
  if (!agent.empty()) {
    ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(agent.reveal()), "agent token");
    out.files.tokens.agent_password = token.password;
  }
  out.files.tokens.distribution = context.distribution.name;
  out.files.certificates = {.distribution = std::string(context.distribution.name),
                            .sans = options.sans,
                            .now = context.clock.Now()};
  if (node_name != options.node_name) out.files.certificates.sans.push_back(node_name);
  return out;
}

Status CheckPortsFree(const std::vector<WantedPort>& wanted, const ServerContext& context,
                      bool predecessor_was_killed) {
  const Deadline deadline(context.clock,
                          predecessor_was_killed ? kOrphanPatience : absl::ZeroDuration());
  for (const WantedPort& w : wanted) {
    Status free = CheckPortFree(w.address, w.port);
    // The kernel kills the etcd of a server that was killed; that may still be going on.
    while (!free.ok() && !deadline.passed() && context.clock.Sleep(kOrphanPoll, context.stop))
      free = CheckPortFree(w.address, w.port);
    if (!free.ok())
      return WithHint(free,
                      fmt::format("Stop what uses it, or choose another port with --{}.", w.flag));
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<HttpServer>> StartSupervisor(const ServerOptions& options,
                                                      const ServerContext& context,
                                                      const DataLayout& layout,
                                                      Authenticate authenticate,
                                                      std::vector<Route> routes) {
  ASSIGN_OR_RETURN(const KeyPair pair,
                   ReadKeyPair(context.fs, JoinPath(layout.tls(), "supervisor")));
  ASSIGN_OR_RETURN(auto listener, HttpServer::Start({.address = options.bind_address,
                                                     .port = options.supervisor_port,
                                                     .certificate_pem = pair.certificate_pem,
                                                     .key_pem = pair.key_pem,
                                                     .authenticate = std::move(authenticate),
                                                     .routes = std::move(routes)}));
  LogInfo("Supervisor listens on {}:{}", options.bind_address, options.supervisor_port);
  return listener;
}

void WaitForEnd(const ServerContext& context, const ServiceNotifier& notifier,
                const std::stop_token& give_up) {
  absl::Duration next_watchdog = context.clock.Steady();
  const absl::Duration tick = std::min(kTick, notifier.watchdog_interval().value_or(kTick));
  while (context.clock.Sleep(tick, context.stop) && !give_up.stop_requested()) {
    if (notifier.watchdog_interval() && context.clock.Steady() >= next_watchdog) {
      notifier.Send("WATCHDOG=1");
      next_watchdog = context.clock.Steady() + *notifier.watchdog_interval();
    }
  }
}

}  // namespace holdfast
