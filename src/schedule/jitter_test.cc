#include "schedule/jitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace holdfast {
namespace {

class SeededRandom final : public Random {
 public:
  void Fill(MutableByteSpan out) override {
    std::generate(out.begin(), out.end(), [&] { return static_cast<std::uint8_t>(engine_()); });
  }

 private:
  std::mt19937 engine_{1};
};

TEST(Jitter, IsSpreadOverTheWholeRangeAndStaysBelowItsEnd) {
  SeededRandom random;
  int quarters[4] = {};
  for (int i = 0; i < 4000; ++i) {
    const absl::Duration jitter = Jitter(random, absl::Seconds(5));
    ASSERT_GE(jitter, absl::ZeroDuration());
    ASSERT_LT(jitter, absl::Seconds(5));
    ++quarters[absl::ToInt64Milliseconds(jitter) / 1250];
  }
  for (const int count : quarters) EXPECT_NEAR(count, 1000, 150);
}

TEST(Jitter, OfNothingIsNothing) {
  SeededRandom random;
  EXPECT_EQ(Jitter(random, absl::ZeroDuration()), absl::ZeroDuration());
  EXPECT_EQ(Jitter(random, absl::Seconds(-1)), absl::ZeroDuration());
  EXPECT_EQ(Jitter(random, absl::Nanoseconds(1)), absl::ZeroDuration());
}

TEST(Jittered, AddsUpToTheFractionAndNeverShortens) {
  SeededRandom random;
  absl::Duration longest;
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration interval = Jittered(random, absl::Minutes(10), 0.05);
    ASSERT_GE(interval, absl::Minutes(10));
    ASSERT_LT(interval, absl::Minutes(10) + absl::Seconds(30));
    longest = std::max(longest, interval);
  }
  EXPECT_GT(longest, absl::Minutes(10) + absl::Seconds(29));
  EXPECT_EQ(Jittered(random, absl::Minutes(10), 0), absl::Minutes(10));
}

}  // namespace
}  // namespace holdfast
