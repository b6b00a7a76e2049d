#include "os/system_clock.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/clock.h"

namespace holdfast {
namespace {

class Real final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }

  absl::Duration Steady() override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  bool Sleep(absl::Duration length, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    // Far more would overflow in the sum with the time that is, and end at once.
    const absl::Duration bounded = std::min(length, absl::Hours(24 * 365 * 100));
    // steady, and waits only for the stop token
    changed.wait_for(lock, stop, absl::ToChronoNanoseconds(bounded), [] { return false; });
    return !stop.stop_requested();
  }
};

}  // namespace

Clock& SystemClock() {
  static Real clock;
  return clock;
}

}  // namespace holdfast
