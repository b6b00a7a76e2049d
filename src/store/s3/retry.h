// When to try again. One rule for every request to S3: what may pass (kUnavailable, kDeadlineExceeded) is tried again after
// a wait that doubles from 200 ms, with full jitter so that many clients do not come back together, until nothing moved for
// a while.
#pragma once

#include <atomic>
#include <limits>
#include <stop_token>

#include "base/clock.h"
#include "base/random.h"
#include "base/status.h"

namespace holdfast {

struct RetryPolicy {
  absl::Duration
      patience;  // from the first failure, or the last progress, to the start of the last try
  int tries_max = std::numeric_limits<int>::max();  // whatever moved
  absl::Duration delay_max = absl::Seconds(10);
};

class Retry {
 public:
  // All must outlive this. `told`: whether somebody has said already that there is trouble; of many threads that have the
  // same one says it.
  Retry(Clock& clock, Random& random, const RetryPolicy& policy, std::atomic<bool>& told,
        std::stop_token stop)
      : clock_(clock), random_(random), policy_(policy), told_(told), stop_(std::move(stop)) {}

  // After a failed try. OK: it waited, try again. Otherwise the error to return: `failure`, perhaps with how long it was
  // tried, or kCancelled. The server may ask for a longer wait (its Retry-After; bounded at a minute).
  Status Again(const Status& failure, absl::Duration asked = absl::ZeroDuration());

  // Something moved, though the try failed: patience begins anew.
  void Progressed();

 private:
  Clock& clock_;
  Random& random_;
  RetryPolicy policy_;
  std::atomic<bool>& told_;
  std::stop_token stop_;
  int failures_ = 0, failures_in_a_row_ = 0;
  absl::Duration first_failure_;  // of those in a row; steady time
};

}  // namespace holdfast
