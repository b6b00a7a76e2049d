// The door to time. Code that decides takes `now` as an argument; code that waits takes a Clock.
#pragma once

#include <stop_token>

#include "absl/time/time.h"

namespace holdfast {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: for names, people and schedules. It can jump.
  virtual absl::Time Now() = 0;

  // Time since some fixed moment that never jumps: for deadlines and durations.
  virtual absl::Duration Steady() = 0;

  // Blocks for `length`, or until `stop` is requested. Returns false if stopped.
  virtual bool Sleep(absl::Duration length, std::stop_token stop) = 0;
};

// A point in steady time after which waiting ends.
class Deadline {
 public:
  Deadline(Clock& clock, absl::Duration length) : clock_(&clock), end_(clock.Steady() + length) {}
  bool passed() const { return clock_->Steady() >= end_; }
  absl::Duration left() const {
    const absl::Duration left = end_ - clock_->Steady();
    return left < absl::ZeroDuration() ? absl::ZeroDuration() : left;
  }

 private:
  Clock* clock_;
  absl::Duration end_;
};

}  // namespace holdfast
