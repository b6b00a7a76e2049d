// Random delays, so that the nodes of a cluster do not all come to the store in the same instant.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "base/random.h"

namespace holdfast {

// Uniform in [0, max), to the nanosecond; zero if `max` is not positive. RKE2 waits this long before a scheduled snapshot,
// with `max` = 5 s.
inline absl::Duration Jitter(Random& random, absl::Duration max) {
  const std::int64_t bound = absl::ToInt64Nanoseconds(max);
  if (bound <= 0) return absl::ZeroDuration();
  return absl::Nanoseconds(
      static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(bound))));
}

// Uniform in [interval, interval * (1 + fraction)), as wait.Jitter of k8s.io/apimachinery. RKE2 reconciles its list of
// snapshots with `fraction` = 0.05. Never shorter than `interval`.
inline absl::Duration Jittered(Random& random, absl::Duration interval, double fraction) {
  return interval + Jitter(random, interval * fraction);
}

}  // namespace holdfast
