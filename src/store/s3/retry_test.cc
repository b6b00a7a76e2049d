#include "store/s3/retry.h"

#include <gmock/gmock.h>

#include "testing/fake_clock.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class RetryTest : public ::testing::Test {
 protected:
  testing::SteppingClock clock_;
  Random& random_ = SystemRandom();
  std::atomic<bool> told_ = false;
  const Status passing_ = UnavailableError("503");
};

TEST_F(RetryTest, OnlyWhatMayPassIsTriedAgain) {
  Retry retry(clock_, random_, {.patience = absl::Minutes(5)}, told_, {});
  EXPECT_TRUE(retry.Again(passing_).ok());
  EXPECT_TRUE(retry.Again(DeadlineExceededError("slow")).ok());
  for (const Status& final : {NotFoundError("x"), DataLossError("x"), PermissionDeniedError("x")})
    EXPECT_EQ(retry.Again(final), final);
}

TEST_F(RetryTest, WaitsDoubleFrom200msAndAreBounded) {
  Retry retry(clock_, random_,
              {.patience = absl::Hours(10), .tries_max = 1000, .delay_max = absl::Seconds(2)},
              told_, {});
  absl::Duration bound = absl::Milliseconds(200), longest;
  for (int i = 0; i < 300; ++i) {
    const absl::Duration before = clock_.Steady();
    ASSERT_TRUE(retry.Again(passing_).ok());
    const absl::Duration waited = clock_.Steady() - before;
    EXPECT_LE(waited, bound) << i;
    longest = std::max(longest, waited);
    bound = std::min(bound * 2, absl::Seconds(2));
  }
  EXPECT_GT(longest, absl::Seconds(1));
}

TEST_F(RetryTest, OfManyWithTheSameTroubleOneSaysIt) {
  ::testing::internal::CaptureStderr();
  for (int thread = 0; thread < 4; ++thread) {
    Retry retry(clock_, random_, {.patience = absl::Minutes(5)}, told_, {});
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(retry.Again(passing_).ok());
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("trying again"), std::string::npos) << said;
  EXPECT_EQ(said.find("trying again"), said.rfind("trying again")) << said;
}

TEST_F(RetryTest, EndsWhenNothingMovedForSoLong) {
  Retry retry(clock_, random_, {.patience = absl::Minutes(5)}, told_, {});
  const absl::Duration begun = clock_.Steady();
  Status status;
  int tries = 0;
  while ((status = retry.Again(passing_)).ok()) ++tries;
  EXPECT_GT(tries, 10);
  // The last try begins when patience ends, not before.
  EXPECT_EQ(clock_.Steady() - begun, absl::Minutes(5));
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(MessageOf(status), HasSubstr(" tries in 5m0s: 503"));
}

TEST_F(RetryTest, PatienceOfHoursIsKept) {
  Retry retry(clock_, random_, {.patience = absl::Hours(5)}, told_, {});
  const absl::Duration begun = clock_.Steady();
  while (retry.Again(passing_).ok()) {
  }
  EXPECT_EQ(clock_.Steady() - begun, absl::Hours(5));
}

TEST_F(RetryTest, ALongTransferThatBreaksOffIsTriedAgainHoweverLongItTook) {
  Retry retry(clock_, random_, {.patience = absl::Minutes(5)}, told_, {});
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(retry.Again(passing_).ok());
}

TEST_F(RetryTest, ProgressBeginsAnewButNotForEver) {
  Retry retry(clock_, random_, {.patience = absl::Minutes(5), .tries_max = 20}, told_, {});
  int tries = 0;
  while (retry.Again(passing_).ok()) {
    ++tries;
    clock_.Advance(absl::Minutes(4));
    retry.Progressed();
  }
  EXPECT_EQ(tries, 19);
}

TEST_F(RetryTest, TheServersWishCountsUpToAMinute) {
  Retry retry(clock_, random_, {.patience = absl::Hours(1)}, told_, {});
  absl::Duration before = clock_.Steady();
  ASSERT_TRUE(retry.Again(passing_, absl::Seconds(30)).ok());
  EXPECT_EQ(clock_.Steady() - before, absl::Seconds(30));
  before = clock_.Steady();
  ASSERT_TRUE(retry.Again(passing_, absl::Hours(3)).ok());
  EXPECT_EQ(clock_.Steady() - before, absl::Minutes(1));
}

TEST_F(RetryTest, AStopEndsTheWait) {
  std::stop_source stop;
  stop.request_stop();
  Retry retry(clock_, random_, {.patience = absl::Minutes(5)}, told_, stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(retry.Again(passing_)));
}

}  // namespace
}  // namespace holdfast
