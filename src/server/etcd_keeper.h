// Keeps an etcd running: starts it, watches it, starts it again when it dies, with growing pauses, and gives up visibly when
// that does not help. Its thread lives as long as the keeper, because etcd dies with the thread that started it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <thread>

#include "api/metrics.h"
#include "base/mutex.h"
#include "etcd/running_server.h"

namespace holdfast {

class EtcdKeeper {
 public:
  // Starts at once. `on_give_up` is called from the keeper's thread when it has given up. All must outlive this.
  EtcdKeeper(FileSystem& fs, Clock& clock, Metrics& metrics, etcd::RunOptions options,
             std::function<void()> on_give_up);
  // Stops etcd, in order.
  ~EtcdKeeper();

  // OK when the last check found etcd healthy; else why not.
  Status health() const;
  // Why it gave up; OK as long as it has not.
  Status failure() const;
  // Waits until etcd is healthy (OK), or the keeper gave up, or `stop`.
  Status WaitHealthy(std::stop_token stop);

  // Stops etcd for good, with `why` as the failure.
  void GiveUp(const Status& why);

  // kUnavailable while etcd is not running.
  StatusOr<std::shared_ptr<etcd::Client>> client() const;

 private:
  void Run(std::stop_token stop);
  // One life of an etcd, to its end. Returns why it ended, and whether it had been healthy.
  struct Life {
    Status end;
    bool was_healthy = false;
  };
  Life LiveOnce(std::stop_token stop);
  void SetHealth(Status health);

  FileSystem& fs_;
  Clock& clock_;
  Metrics& metrics_;
  const etcd::RunOptions options_;
  const std::function<void()> on_give_up_;

  mutable Mutex mutex_;
  ConditionVariable changed_;
  Status health_ HF_GUARDED_BY(mutex_);
  Status failure_ HF_GUARDED_BY(mutex_);
  std::shared_ptr<etcd::Client> client_ HF_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace holdfast
