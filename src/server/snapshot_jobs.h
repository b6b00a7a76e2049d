// What the server does about snapshots by itself: the schedule, and looking at what is there (reconcile).
#pragma once

#include <functional>
#include <thread>

#include "api/metrics.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"
#include "config/server_options.h"

namespace holdfast {

// Calls `take` at each time of the schedule, one after the other. A run that is late because the one before took long
// is left out. Each run is delayed by up to 5 seconds, as RKE2 does.
class SnapshotSchedule {
 public:
  // All must outlive this.
  SnapshotSchedule(Clock& clock, Random& random, Metrics& metrics, CronSchedule schedule,
                   std::function<void(std::stop_token)> take);

 private:
  void Run(std::stop_token stop);

  Clock& clock_;
  Random& random_;
  Metrics& metrics_;
  const CronSchedule schedule_;
  const std::function<void(std::stop_token)> take_;
  std::jthread thread_;
};

// Calls `work` at once and then after each interval, lengthened by up to 5 %, or when it is woken.
class Reconciler {
 public:
  // All must outlive this.
  Reconciler(Clock& clock, Random& random, absl::Duration interval,
             std::function<void(std::stop_token)> work);

  // The next call comes at once, after the one that may be going on.
  void Wake();

 private:
  void Run(const std::stop_token& stop);

  Clock& clock_;
  Random& random_;
  const absl::Duration interval_;
  const std::function<void(std::stop_token)> work_;
  Mutex mutex_;
  std::stop_source sleep_ HF_GUARDED_BY(mutex_);  // ends the next sleep
  std::jthread thread_;
};

}  // namespace holdfast
