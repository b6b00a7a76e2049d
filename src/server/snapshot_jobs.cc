#include "server/snapshot_jobs.h"

#include <pthread.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "schedule/jitter.h"

namespace holdfast {
namespace {

constexpr absl::Duration kJitterMax = absl::Seconds(5);
// The wall clock may be set while we wait for it; look at it again at least so often.
constexpr absl::Duration kLookInterval = absl::Seconds(20);
// What NTP corrects bit by bit is less; the next run is not looked for anew.
constexpr absl::Duration kSetBackMin = absl::Minutes(1);
constexpr double kReconcileJitter = 0.05;

}  // namespace

SnapshotSchedule::SnapshotSchedule(Clock& clock, Random& random, Metrics& metrics,
                                   CronSchedule schedule, std::function<void(std::stop_token)> take)
    : clock_(clock),
      random_(random),
      metrics_(metrics),
      schedule_(std::move(schedule)),
      take_(std::move(take)),
      thread_([this](std::stop_token stop) {
        ::pthread_setname_np(::pthread_self(), "snapshot-cron");
        Run(std::move(stop));
      }) {}

void SnapshotSchedule::Run(std::stop_token stop) {
  while (true) {
    const absl::Time next = schedule_.Next(clock_.Now());
    metrics_.SetNextRun(next);
    LogInfo("Next scheduled snapshot at {} ({})", FormatRfc3339(next, schedule_.zone()),
            schedule_.text());
    const absl::Duration begun = clock_.Steady();
    const absl::Time from = clock_.Now();
    absl::Time now = from;
    while (now < next && now - from > clock_.Steady() - begun - kSetBackMin) {
      if (!clock_.Sleep(std::min(next - now, kLookInterval), stop)) return;
      now = clock_.Now();
    }
    // Else it would wait for as long as the clock was ahead.
    if (now < next) {
      LogWarn("The clock was set back to {}", FormatRfc3339(now, schedule_.zone()));
      continue;
    }
    if (!clock_.Sleep(Jitter(random_, kJitterMax), stop)) return;
    take_(stop);
  }
}

Reconciler::Reconciler(Clock& clock, Random& random, absl::Duration interval,
                       std::function<void(std::stop_token)> work)
    : clock_(clock),
      random_(random),
      interval_(interval),
      work_(std::move(work)),
      thread_([this](const std::stop_token& stop) {
        ::pthread_setname_np(::pthread_self(), "reconcile");
        Run(stop);
      }) {}

void Reconciler::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::stop_source sleep;
    {
      // From here on a call of Wake() asks for one more run.
      const MutexLock lock(mutex_);
      sleep_ = sleep;
    }
    work_(stop);
    const std::stop_callback end_sleep(stop, [&sleep] { sleep.request_stop(); });
    (void)clock_.Sleep(Jittered(random_, interval_, kReconcileJitter), sleep.get_token());
  }
}

void Reconciler::Wake() {
  const MutexLock lock(mutex_);
  sleep_.request_stop();
}

}  // namespace holdfast
