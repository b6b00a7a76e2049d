#include "schedule/cron.h"

#include <initializer_list>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "testing/property.h"

namespace holdfast {
namespace {

absl::Time At(std::string_view rfc3339) { return ParseRfc3339(rfc3339).value(); }

absl::TimeZone Zone(const std::string& name) {
  absl::TimeZone zone;
  CHECK(absl::LoadTimeZone(name, &zone));
  return zone;
}

CronSchedule Cron(std::string_view spec, absl::TimeZone local = absl::UTCTimeZone()) {
  return CronSchedule::Parse(spec, local).value();
}

Status ErrorOf(std::string_view spec) {
  return CronSchedule::Parse(spec, absl::UTCTimeZone()).status();
}

// The minutes of one hour in which a schedule with this minute field runs.
std::vector<int> MinutesOf(std::string_view field) {
  const CronSchedule cron = Cron(std::string(field) + " * * * *");
  const absl::Time begin = At("2024-01-01T00:00:00Z"), end = begin + absl::Hours(1);
  std::vector<int> out;
  for (absl::Time t = cron.Next(begin - absl::Seconds(1)); t < end; t = cron.Next(t)) {
    out.push_back(static_cast<int>(absl::ToInt64Minutes(t - begin)));
  }
  return out;
}

// Facts from TestRange and TestField of parser_test.go, and from running the library.
TEST(CronField, NamesTheValuesTheLibraryReads) {
  struct Case {
    std::string_view field;
    std::vector<int> minutes;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"5", {5}},
           {"05", {5}},
           {"+5", {5}},
           {"0", {0}},
           {"59", {59}},
           {"5-5", {5}},
           {"5-7", {5, 6, 7}},
           {"5-6/2", {5}},
           {"5-7/2", {5, 7}},
           {"5-7/1", {5, 6, 7}},
           {"5,6,7", {5, 6, 7}},
           {"1,5-7/2,3", {1, 3, 5, 7}},
           {"7,6-7,7", {6, 7}},
           {"1,,2,", {1, 2}},
           {"*/20", {0, 20, 40}},
           {"?/20", {0, 20, 40}},
           {"15/20", {15, 35, 55}},
           {"59/1", {59}},
           {"*/100", {0}},
           {"3/9223372036854775807", {3}},
       }) {
    EXPECT_EQ(MinutesOf(c.field), c.minutes) << c.field;
  }
  EXPECT_EQ(MinutesOf("*").size(), 60u);
  EXPECT_EQ(MinutesOf("?"), MinutesOf("*/1"));
}

TEST(CronField, TakesNamesOfMonthsAndWeekdaysInAnyCase) {
  const absl::Time monday = At("2024-01-01T00:00:00Z");
  EXPECT_EQ(Cron("0 0 * Feb *").Next(monday), At("2024-02-01T00:00:00Z"));
  EXPECT_EQ(Cron("0 0 1 MAR-may/2 *").Next(At("2024-03-01T00:00:00Z")), At("2024-05-01T00:00:00Z"));
  EXPECT_EQ(Cron("0 0 * * Sun").Next(monday), At("2024-01-07T00:00:00Z"));
  EXPECT_EQ(Cron("0 0 * * fri-6").Next(monday), At("2024-01-05T00:00:00Z"));
  EXPECT_EQ(Cron("0 0 * * mon/2").Next(monday), At("2024-01-03T00:00:00Z"));
}

TEST(CronField, AnyAsciiBlankSeparatesAndSurroundsFields) {
  const absl::Time t = At("2024-01-01T00:00:00Z");
  EXPECT_EQ(Cron(" \t5\n*\v*\f*\r* ").Next(t), At("2024-01-01T00:05:00Z"));
}

TEST(CronDescriptor, MeansItsFiveFields) {
  struct Case {
    std::string_view descriptor, fields;
  };
  for (const Case& c : std::initializer_list<Case>{{"@yearly", "0 0 1 1 *"},
                                                   {"@annually", "0 0 1 1 *"},
                                                   {"@monthly", "0 0 1 * *"},
                                                   {"@weekly", "0 0 * * 0"},
                                                   {"@daily", "0 0 * * *"},
                                                   {"@midnight", "0 0 * * *"},
                                                   {"@hourly", "0 * * * *"}}) {
    absl::Time t = At("2024-01-31T12:34:56Z");
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(Cron(c.descriptor).Next(t), Cron(c.fields).Next(t)) << c.descriptor;
      t = Cron(c.fields).Next(t);
    }
  }
}

// TestConstantDelayNext of constantdelay_test.go.
TEST(CronEvery, AddsWholeSecondsToTheSecondOfTheLastRun) {
  struct Case {
    std::string_view after, spec, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"2012-07-09T14:45:00Z", "@every 15m50ns", "2012-07-09T15:00:00Z"},
           {"2012-07-09T14:59:00Z", "@every 15m", "2012-07-09T15:14:00Z"},
           {"2012-07-09T14:59:59Z", "@every 15m", "2012-07-09T15:14:59Z"},
           {"2012-07-09T15:45:00Z", "@every 35m", "2012-07-09T16:20:00Z"},
           {"2012-07-09T23:46:00Z", "@every 14m", "2012-07-10T00:00:00Z"},
           {"2012-07-09T23:45:00Z", "@every 35m", "2012-07-10T00:20:00Z"},
           {"2012-07-09T23:35:51Z", "@every 44m24s", "2012-07-10T00:20:15Z"},
           {"2012-07-09T23:35:51Z", "@every 25h44m24s", "2012-07-11T01:20:15Z"},
           {"2012-07-09T23:35:00Z", "@every 2184h25m", "2012-10-09T00:00:00Z"},
           {"2012-12-31T23:59:45Z", "@every 15s", "2013-01-01T00:00:00Z"},
           {"2012-07-09T14:45:00Z", "@every 15ms", "2012-07-09T14:45:01Z"},
           {"2012-07-09T14:45:00Z", "@every -5m", "2012-07-09T14:45:01Z"},
           {"2012-07-09T14:45:00.005Z", "@every 15m", "2012-07-09T15:00:00Z"},
           {"2012-07-09T14:45:00.005Z", "@every 15m50ns", "2012-07-09T15:00:00Z"},
           {"2012-07-09T14:45:00Z", "TZ=Asia/Tokyo @every 90.7s", "2012-07-09T14:46:30Z"},
       }) {
    EXPECT_EQ(Cron(c.spec).Next(At(c.after)), At(c.expected)) << c.after << ' ' << c.spec;
  }
}

TEST(CronZone, OfTheSpecWinsOverTheLocalOne) {
  const absl::TimeZone tokyo = Zone("Asia/Tokyo");
  const auto name_of = [&](std::string_view spec) { return Cron(spec, tokyo).zone().name(); };
  EXPECT_EQ(name_of("0 3 * * *"), "Asia/Tokyo");
  EXPECT_EQ(name_of("TZ=Europe/Berlin 0 3 * * *"), "Europe/Berlin");
  EXPECT_EQ(name_of("CRON_TZ=America/Argentina/Buenos_Aires  @daily "),
            "America/Argentina/Buenos_Aires");
  EXPECT_EQ(name_of("TZ=Etc/GMT+5 @daily"), "Etc/GMT+5");
  EXPECT_EQ(name_of("TZ=Local @daily"), "Asia/Tokyo");
  EXPECT_EQ(name_of("TZ= @daily"), "UTC");
}

TEST(Cron, KeepsItsTextAsGiven) {
  EXPECT_EQ(Cron(" 0 3 * *  *").text(), " 0 3 * *  *");
  EXPECT_EQ(Cron("TZ=Asia/Tokyo  @daily").text(), "TZ=Asia/Tokyo  @daily");
}

TEST(CronErrors, NameTheFieldTheTextAndWhatIsAllowed) {
  struct Case {
    std::string_view spec, message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"61 * * * *", "minute: 61 is above the maximum 59"},
           {"60 0 * * *", "minute: 60 is above the maximum 59"},
           {"0 24 * * *", "hour: 24 is above the maximum 23"},
           {"0 0 0 * *", "day of month: 0 is below the minimum 1"},
           {"0 0 1-32 * *", "day of month: 32 is above the maximum 31"},
           {"0 0 * 13 *", "month: 13 is above the maximum 12"},
           {"0 0 * * 7", "day of week: 7 is above the maximum 6"},
           {"99999999999999999999 * * * *", "minute: 99999999999999999999 is above the maximum 59"},
           {"0 x * * *", "hour: \"x\" is not a number"},
           {"0 0 L * *", "day of month: \"L\" is not a number"},
           {"jan * * * *", "minute: \"jan\" is not a number"},
           {"0 0 * sun *", "month: \"sun\" is neither a number nor a name such as jan"},
           {"0 0 * * XYZ", "day of week: \"XYZ\" is neither a number nor a name such as sun"},
           {"0 0 * * monday", "day of week: \"monday\" is neither a number nor a name such as sun"},
           {"-5 * * * *", "minute: \"-5\" lacks a number"},
           {"5- * * * *", "minute: \"5-\" lacks a number"},
           {"/5 * * * *", "minute: \"/5\" lacks a number"},
           {"5x * * * *", "minute: \"5x\" is not a number"},
           {"0x5 * * * *", "minute: \"0x5\" is not a number"},
           {"++5 * * * *", "minute: \"++5\" is not a number"},
           {"** * * * *", "minute: \"**\" is not a number"},
           {"5--5 * * * *", "minute: \"5--5\" has more than one hyphen"},
           {"1-2-3 * * * *", "minute: \"1-2-3\" has more than one hyphen"},
           {"*-5 * * * *", "minute: \"*-5\" is a star with a range"},
           {"30-10 * * * *", "minute: the range 30-10 runs backwards"},
           {"0 0 * * fri-mon", "day of week: the range fri-mon runs backwards"},
           {"*//2 * * * *", "minute: \"*//2\" has more than one slash"},
           {"*/0 * * * *", "minute: the step 0 is below the minimum 1"},
           {"TZ=America/New_York 15/0 * * * *", "minute: the step 0 is below the minimum 1"},
           {"*/ * * * *", "minute: \"*/\" lacks a number"},
           {"*/-12 * * * *", "minute: the step \"-12\" is not a number"},
           {"*/x * * * *", "minute: the step \"x\" is not a number"},
           {"*/9223372036854775808 * * * *", "minute: the step 9223372036854775808 is too large"},
           {"0 , * * *", "hour: \",\" names no value"},
           {"", "expected 5 fields, found 0"},
           {"  ", "expected 5 fields, found 0"},
           {"xyz", "expected 5 fields, found 1"},
           {"* * * *", "expected 5 fields, found 4"},
           {"0 0 */12 * * *", "expected 5 fields, found 6"},
           {"0 0 * * * x", "expected 5 fields, found 6"},
           {" @daily", "expected 5 fields, found 1"},
           {" TZ=UTC 0 0 * * *", "expected 5 fields, found 6"},
           {"@daily ", "unknown descriptor \"@daily \""},
           {"@Daily", "unknown descriptor \"@Daily\""},
           {"@reboot", "unknown descriptor \"@reboot\""},
           {"@every", "unknown descriptor \"@every\""},
           {"@every Xm", "@every: \"Xm\" is not a duration like 30s, 5m or 1h30m"},
           {"@every  5m", "@every: \" 5m\" is not a duration like 30s, 5m or 1h30m"},
           {"@every 5", "@every: \"5\" is not a duration like 30s, 5m or 1h30m"},
           {"TZ=UTC", "expected 5 fields, found 0"},
           {"TZ=UTC  ", "expected 5 fields, found 0"},
           {"TZ=Mars/Base 0 0 * * *", "unknown time zone \"Mars/Base\""},
           {"CRON_TZ=../../etc/passwd 0 0 * * *", "unknown time zone \"../../etc/passwd\""},
           {"TZ=/etc/localtime 0 0 * * *", "unknown time zone \"/etc/localtime\""},
           {"TZ=America 0 0 * * *", "unknown time zone \"America\""},
           {"TZ=UTC\t0 0 * * *", "unknown time zone \"UTC\t0\""},
       }) {
    const Status error = ErrorOf(c.spec);
    EXPECT_TRUE(absl::IsInvalidArgument(error)) << c.spec;
    EXPECT_EQ(MessageOf(error), fmt::format("invalid cron \"{}\": {}", c.spec, c.message));
  }
}

TEST(CronErrors, HintsExplainAndShowASchedule) {
  struct Case {
    std::string_view spec, hint, example;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"61 * * * *", "Minutes are 0-59: \"{}\" runs every half hour.", "0,30 * * * *"},
           {"0 24 * * *", "Hours are 0-23: \"{}\" runs at midnight and at noon.", "0 */12 * * *"},
           {"0 0 0 * *",
            "Days of the month are 1-31: \"{}\" runs on the 1st and the 15th at three.",
            "0 3 1,15 * *"},
           {"0 0 * 13 *", "Months are 1-12 or jan-dec: \"{}\" runs on two days a year at three.",
            "0 3 1 jan,jul *"},
           {"0 0 * * 7", "Days of the week are 0-6 or sun-sat, 0 is Sunday: \"{}\" skips weekends.",
            "0 3 * * mon-fri"},
           {"0 0 0 * * *",
            "The fields are minute, hour, day of month, month and day of week; there is no seconds "
            "field: \"{}\" runs at midnight and at noon.",
            "0 */12 * * *"},
           {"@every x",
            "There are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, and "
            "@every with a duration: \"{}\" runs six hours after each run.",
            "@every 6h"},
           {"TZ=x @daily",
            "Zones are those of the tz database (package tzdata) and stand in front: \"{}\" runs "
            "at three in Berlin.",
            "CRON_TZ=Europe/Berlin 0 3 * * *"},
       }) {
    EXPECT_EQ(HintOf(ErrorOf(c.spec)), fmt::format(fmt::runtime(c.hint), c.example));
    EXPECT_TRUE(ErrorOf(c.example).ok()) << c.example;
  }
}

// What parses must also answer.
void ParseAndAsk(std::string_view spec) {
  const StatusOr<CronSchedule> cron = CronSchedule::Parse(spec, absl::UTCTimeZone());
  if (!cron.ok()) {
    RC_ASSERT(absl::IsInvalidArgument(cron.status()));
    return;
  }
  const absl::Time t = At("2024-02-28T23:59:59Z");
  RC_ASSERT(cron->Next(t) > t);
}

RC_GTEST_PROP(CronParse, RandomBytesNeverCrash, (const std::string& bytes)) { ParseAndAsk(bytes); }

RC_GTEST_PROP(CronParse, RandomCronCharactersNeverCrash, ()) {
  static constexpr std::string_view kCharacters = "0123456789 */-,?+@TZ=junfri";
  ParseAndAsk(*rc::gen::container<std::string>(rc::gen::elementOf(std::string(kCharacters))));
}

RC_GTEST_PROP(CronParse, FiveRandomFieldsNeverCrash, ()) {
  static const std::vector<std::string> kPieces = {
      "*", "?", "1", "2", "07", "59", "-", "/", ",", "sun", "jan", "+", "99999999999999999999"};
  std::vector<std::string> fields;
  for (int i = 0; i < 5; ++i) {
    fields.push_back(Join(*rc::gen::container<std::vector<std::string>>(
                              *rc::gen::inRange<std::size_t>(1, 5), rc::gen::elementOf(kPieces)),
                          ""));
  }
  ParseAndAsk(Join(fields, " "));
}

}  // namespace
}  // namespace holdfast
