// A clock that stands still until a test moves it. Whoever sleeps on it wakes when its time has
// come or it is stopped. A test of something with a thread of its own goes so: WaitForSleep() until
// the thread sleeps, look, Advance(), repeat.
#pragma once

#include <chrono>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::testing {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000)) : now_(start) {}

  absl::Time Now() override {
    const MutexLock lock(mutex_);
    return now_;
  }
  absl::Duration Steady() override {
    const MutexLock lock(mutex_);
    return steady_;
  }

  bool Sleep(absl::Duration length, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    const auto entry = sleepers_.emplace(steady_ + length, length);
    changed_.notify_all();
    changed_.wait(lock, stop, [&] { return steady_ >= entry->first; });
    sleepers_.erase(entry);
    changed_.notify_all();
    return !stop.stop_requested();
  }

  // Moves both clocks and wakes those whose time has come; returns when they are awake.
  void Advance(absl::Duration length) {
    std::unique_lock lock(mutex_);
    now_ += length;
    steady_ += length;
    changed_.notify_all();
    CHECK(changed_.wait_for(
        lock, kPatience, [&] { return sleepers_.empty() || sleepers_.begin()->first > steady_; }));
  }

  // Sets the wall clock alone, as an administrator or NTP does.
  void SetNow(absl::Time now) {
    const MutexLock lock(mutex_);
    now_ = now;
  }

  // Waits until somebody sleeps; the length that the next one to wake asked for.
  absl::Duration WaitForSleep() {
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, kPatience, [&] { return !sleepers_.empty(); }));
    return sleepers_.begin()->second;
  }

 private:
  // In real time; a test that waits so long has failed.
  static constexpr std::chrono::seconds kPatience{60};

  Mutex mutex_;
  ConditionVariable changed_;
  absl::Time now_;
  absl::Duration steady_ = absl::Seconds(1000);
  std::multimap<absl::Duration, absl::Duration>
      sleepers_;  // when it wakes -> how long it asked for
};

// A clock that sleepers move: nobody waits, and all who asked for a while see it pass.
class SteppingClock final : public Clock {
 public:
  explicit SteppingClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000)) : now_(start) {}

  absl::Time Now() override {
    const MutexLock lock(mutex_);
    return now_;
  }
  absl::Duration Steady() override {
    const MutexLock lock(mutex_);
    return steady_;
  }
  bool Sleep(absl::Duration length, std::stop_token stop) override {
    Advance(length);
    return !stop.stop_requested();
  }
  void Advance(absl::Duration length) {
    const MutexLock lock(mutex_);
    now_ += length;
    steady_ += length;
  }

 private:
  Mutex mutex_;
  absl::Time now_ HF_GUARDED_BY(mutex_);
  absl::Duration steady_ HF_GUARDED_BY(mutex_) = absl::Seconds(1000);
};

}  // namespace holdfast::testing
