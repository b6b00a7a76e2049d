#include "server/etcd_keeper.h"

#include <pthread.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "etcd/health.h"

namespace holdfast {
namespace {

constexpr int kFailedStartsMax = 5;  // in a row, none of which became healthy
constexpr absl::Duration kPauseFirst = absl::Seconds(1), kPauseMax = absl::Seconds(30);
constexpr absl::Duration kWatchInterval = absl::Seconds(2);

}  // namespace

EtcdKeeper::EtcdKeeper(FileSystem& fs, Clock& clock, Metrics& metrics, etcd::RunOptions options,
                       std::function<void()> on_give_up)
    : fs_(fs),
      clock_(clock),
      metrics_(metrics),
      options_(std::move(options)),
      on_give_up_(std::move(on_give_up)),
      health_(UnavailableError("etcd is starting")),
      thread_([this](std::stop_token stop) {
        ::pthread_setname_np(::pthread_self(), "etcd-keeper");
        Run(std::move(stop));
      }) {}

EtcdKeeper::~EtcdKeeper() {
  thread_.request_stop();
  thread_.join();
}

Status EtcdKeeper::health() const {
  const MutexLock lock(mutex_);
  return health_;
}

Status EtcdKeeper::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

StatusOr<std::shared_ptr<etcd::Client>> EtcdKeeper::client() const {
  const MutexLock lock(mutex_);
  if (client_ == nullptr) return UnavailableError("etcd is not running");
  return client_;
}

void EtcdKeeper::SetHealth(Status health) {
  metrics_.SetEtcdHealthy(health.ok());
  const MutexLock lock(mutex_);
  if (health.ok() != health_.ok()) {
    if (health.ok()) {
      LogInfo("etcd is healthy");
    } else {
      LogWarn("etcd is not healthy: {}", MessageOf(health));
    }
  }
  health_ = std::move(health);
  changed_.notify_all();
}

void EtcdKeeper::GiveUp(const Status& why) {
  LogError("{}", MessageOf(why));
  {
    const MutexLock lock(mutex_);
    failure_ = why;
    changed_.notify_all();
  }
  thread_.request_stop();
  on_give_up_();
}

Status EtcdKeeper::WaitHealthy(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    const MutexLock lock(mutex_);
    changed_.notify_all();
  });
  const MutexLock lock(mutex_);
  while (!health_.ok() && failure_.ok() && !stop.stop_requested()) changed_.wait(mutex_);
  if (!failure_.ok()) return failure_;
  return stop.stop_requested() ? CancelledError("stopped") : health_;
}

EtcdKeeper::Life EtcdKeeper::LiveOnce(std::stop_token stop) {
  Life life;
  auto started = etcd::RunningServer::Start(fs_, clock_, options_);
  if (!started.ok()) return {.end = started.status()};
  etcd::RunningServer& server = **started;
  {
    const MutexLock lock(mutex_);
    client_ = server.client();
  }
  life.end = server.WaitHealthy(etcd::kStartTimeout, stop);
  if (life.end.ok()) {
    life.was_healthy = true;
    SetHealth(OkStatus());
    while (true) {
      if (const auto reason = server.process().child().Wait(kWatchInterval, stop)) {
        life.end = server.Ended(*reason);
        break;
      }
      if (stop.stop_requested()) break;
      SetHealth(etcd::CheckHealth(*server.client()));
    }
  }
  {
    const MutexLock lock(mutex_);
    client_.reset();
  }
  server.Stop();
  return life;
}

void EtcdKeeper::Run(std::stop_token stop) {
  absl::Duration pause = kPauseFirst;
  int failed_starts = 0;
  while (true) {
    const Life life = LiveOnce(stop);
    if (stop.stop_requested()) return;
    SetHealth(UnavailableError("{}", MessageOf(life.end)));
    failed_starts = life.was_healthy ? 0 : failed_starts + 1;
    if (life.was_healthy) pause = kPauseFirst;
    if (failed_starts >= kFailedStartsMax) {
      LogError("etcd did not start {} times in a row, giving up: {}", failed_starts,
               MessageOf(life.end));
      {
        const MutexLock lock(mutex_);
        failure_ =
            Annotate(life.end, fmt::format("etcd did not start {} times in a row", failed_starts));
        changed_.notify_all();
      }
      on_give_up_();
      return;
    }
    LogError("{}; starting it again in {}", MessageOf(life.end), FormatGoDuration(pause));
    if (!clock_.Sleep(pause, stop)) return;
    metrics_.OnEtcdRestart();
    pause = std::min(pause * 2, kPauseMax);
  }
}

}  // namespace holdfast
