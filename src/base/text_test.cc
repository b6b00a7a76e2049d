#include "base/text.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(GoDuration, ParsesWhatGoParses) {
  const auto parse = [](std::string_view text) { return ParseGoDuration(text).value(); };
  EXPECT_EQ(parse("0"), absl::ZeroDuration());
  EXPECT_EQ(parse("5m0s"), absl::Minutes(5));
  EXPECT_EQ(parse("1h30m"), absl::Minutes(90));
  EXPECT_EQ(parse("-1.5h"), absl::Minutes(-90));
  EXPECT_EQ(parse(".5s"), absl::Milliseconds(500));
  EXPECT_EQ(parse("1us"), absl::Microseconds(1));
  EXPECT_EQ(parse("1\xC2\xB5s"), absl::Microseconds(1));
  EXPECT_EQ(parse("300ms"), absl::Milliseconds(300));
  for (int ms = 0; ms < 1000; ++ms)
    EXPECT_EQ(parse(fmt::format("1.{:03}s", ms)), absl::Milliseconds(1000 + ms));
  for (int percent = 0; percent < 100; ++percent)
    EXPECT_EQ(parse(fmt::format("0.{:02}h", percent)), absl::Seconds(36 * percent)) << percent;
  EXPECT_EQ(parse("0.123456789123456789123h"), absl::Nanoseconds(444444440844));
}

TEST(GoDuration, RefusesWhatGoRefuses) {
  for (const char* bad : {"", "5", "m", "5x", "5 m", "1h-2m", ".", "-", "9999999999h"}) {
    EXPECT_FALSE(ParseGoDuration(bad).ok()) << bad;
  }
}

TEST(GoDuration, PrintsAsGoPrints) {
  EXPECT_EQ(FormatGoDuration(absl::Minutes(5)), "5m0s");
  EXPECT_EQ(FormatGoDuration(absl::ZeroDuration()), "0s");
  EXPECT_EQ(FormatGoDuration(absl::Milliseconds(1500)), "1.5s");
  EXPECT_EQ(FormatGoDuration(absl::Milliseconds(100)), "100ms");
  EXPECT_EQ(FormatGoDuration(absl::Hours(12)), "12h0m0s");
  EXPECT_EQ(FormatGoDuration(absl::Seconds(-61)), "-1m1s");
  EXPECT_EQ(FormatGoDuration(absl::Nanoseconds(7)), "7ns");
}

TEST(Rfc3339, PrintsZForUtcAndReadsItBack) {
  const absl::Time time = absl::FromUnixSeconds(1753178523);
  EXPECT_EQ(FormatRfc3339Utc(time), "2025-07-22T10:02:03Z");
  EXPECT_EQ(FormatRfc3339(time, absl::FixedTimeZone(7200)), "2025-07-22T12:02:03+02:00");
  EXPECT_EQ(ParseRfc3339("2025-07-22T12:02:03+02:00").value(), time);
  EXPECT_EQ(FormatRfc3339Nano(time + absl::Milliseconds(120)), "2025-07-22T10:02:03.12Z");
  EXPECT_FALSE(ParseRfc3339("yesterday").ok());
}

TEST(FormatBytes, PowersOfThousand) {
  EXPECT_EQ(FormatBytes(312), "312 B");
  EXPECT_EQ(FormatBytes(1896448), "1.9 MB");
  EXPECT_EQ(FormatBytes(1011000000), "1.0 GB");
  EXPECT_EQ(FormatBytes(330700000), "331 MB");
}

TEST(Numbers, WholeTextOnly) {
  EXPECT_EQ(ParseInt("-5"), -5);
  EXPECT_EQ(ParseUint("5"), 5u);
  for (const char* bad : {"", "5 ", "x", "5.0", "99999999999999999999"})
    EXPECT_FALSE(ParseInt(bad)) << bad;
  EXPECT_FALSE(ParseUint("-5"));
}

TEST(Text, SplitTrimJoin) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Trim(" \ta b\n"), "a b");
  EXPECT_EQ(Trim("  "), "");
  EXPECT_EQ(Join({"a", "b"}, "::"), "a::b");
}

}  // namespace
}  // namespace holdfast
