#include "os/system_clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace holdfast {
namespace {

TEST(SystemClock, SleepsForItsLengthOrUntilStopped) {
  const absl::Duration start = SystemClock().Steady();
  EXPECT_TRUE(SystemClock().Sleep(absl::Milliseconds(20), {}));
  EXPECT_GE(SystemClock().Steady() - start, absl::Milliseconds(20));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(SystemClock().Sleep(absl::Hours(1), stop.get_token()));
}

TEST(SystemClock, EvenTheLongestSleepLastsUntilStopped) {
  for (const absl::Duration length : {absl::InfiniteDuration(), absl::Hours(2562047)}) {
    std::stop_source stop;
    const std::jthread stopper([&] {
      SystemClock().Sleep(absl::Milliseconds(20), {});
      stop.request_stop();
    });
    EXPECT_FALSE(SystemClock().Sleep(length, stop.get_token()));
  }
}

}  // namespace
}  // namespace holdfast
