#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "testing/fake_clock.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(ProgressBar, TheBarHasShareSizesSpeedAndTime) {
  EXPECT_EQ(FormatProgress(455'000'000, 1'000'000'000, absl::Seconds(2), 100),
            "[==========>             ]  45%  455 MB of 1.0 GB  228 MB/s  00:02");
  EXPECT_EQ(FormatProgress(0, 1000, absl::ZeroDuration(), 100),
            "[>                       ]   0%  0 B of 1.0 kB  0 B/s  00:00");
  EXPECT_EQ(FormatProgress(1000, 1000, absl::Seconds(3661), 100),
            "[========================] 100%  1.0 kB of 1.0 kB  0 B/s  61:01");
  // More than was foretold is still all.
  EXPECT_THAT(FormatProgress(2000, 1000, absl::Seconds(1), 100), HasSubstr("] 100%  "));
}

TEST(ProgressBar, WithoutATotalThereIsNoBar) {
  EXPECT_EQ(FormatProgress(5'000'000, 0, absl::Seconds(5), 100), "5.0 MB  1.0 MB/s  00:05");
}

TEST(ProgressBar, ItNeverFillsTheLine) {
  for (int columns = 1; columns < 120; ++columns) {
    const std::string text = FormatProgress(455'000'000, 1'000'000'000, absl::Seconds(2), columns);
    EXPECT_LT(text.size(), static_cast<std::size_t>(std::max(columns, 2))) << columns;
  }
  EXPECT_EQ(FormatProgress(455'000'000, 1'000'000'000, absl::Seconds(2), 60),
            "455 MB of 1.0 GB  228 MB/s  00:02");
}

TEST(ProgressBar, OnATerminalItRedrawsItselfTenTimesASecondAndIsWiped) {
  testing::FakeClock clock;
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar(clock, "Saving", /*terminal=*/true);
    bar.Update(1, 10);  // at once: not worth a bar
    for (int i = 0; i < 30; ++i) {
      clock.Advance(absl::Milliseconds(50));
      bar.Update(5, 10);
    }
  }
  const std::string out = ::testing::internal::GetCapturedStderr();
  std::size_t drawn = 0;
  for (std::size_t at = 0; (at = out.find("\r\033[K", at)) != std::string::npos; ++at) ++drawn;
  EXPECT_EQ(drawn, 15u + 1);
  EXPECT_TRUE(out.ends_with("\r\033[K"));
  EXPECT_EQ(out.find('\n'), std::string::npos);
}

TEST(ProgressBar, ShortWorkDrawsNothing) {
  testing::FakeClock clock;
  ::testing::internal::CaptureStderr();
  { ProgressBar(clock, "Saving", /*terminal=*/true).Update(10, 10); }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ProgressBar, ElsewhereThereIsALineEveryTenSeconds) {
  testing::FakeClock clock;
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({}).ok());
  {
    ProgressBar bar(clock, "Saving", /*terminal=*/false);
    for (int i = 0; i < 25; ++i) {
      clock.Advance(absl::Seconds(1));
      bar.Update(static_cast<std::uint64_t>(i) * 1'000'000, 100'000'000);
    }
  }
  const std::string out = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2);
  EXPECT_THAT(
      out,
      HasSubstr(
          "msg=\"Saving: [==>                     ]   9%  9.0 MB of 100 MB  900 kB/s  00:10\"\n"));
  EXPECT_EQ(out.find('\r'), std::string::npos);
  EXPECT_TRUE(StartLog({}).ok());
}

}  // namespace
}  // namespace holdfast
