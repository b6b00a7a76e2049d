// When schedules run. The expected times are those of github.com/robfig/cron v3.0.1: from the test of its spec_test.go
// that is named above ours, else from running it.
#include "schedule/next_run.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "schedule/cron.h"
#include "testing/property.h"

namespace holdfast {
namespace {

absl::Time At(std::string_view rfc3339) { return ParseRfc3339(rfc3339).value(); }

absl::TimeZone Zone(const std::string& name) {
  absl::TimeZone zone;
  CHECK(absl::LoadTimeZone(name, &zone));
  return zone;
}

// For messages: the local time of the zone, or "never".
std::string Shown(absl::Time time, absl::TimeZone zone) {
  return time == absl::InfiniteFuture() ? "never" : FormatRfc3339(time, zone);
}

struct Case {
  std::string_view after, spec, expected;
};

void ExpectNext(const std::string& zone_name, std::initializer_list<Case> cases) {
  const absl::TimeZone zone = Zone(zone_name);
  for (const Case& c : cases) {
    const CronSchedule cron = CronSchedule::Parse(c.spec, zone).value();
    EXPECT_EQ(Shown(cron.Next(At(c.after)), zone), c.expected) << c.after << "  " << c.spec;
  }
}

// TestActivation: does the schedule run at this very moment?
TEST(NextRun, RunsAtAMomentThatFitsAndAtNoOther) {
  struct Activation {
    std::string_view time, spec;
    bool runs;
  };
  for (const Activation& c : std::initializer_list<Activation>{
           {"2012-07-09T15:00:00Z", "0/15 * * * *", true},
           {"2012-07-09T15:45:00Z", "0/15 * * * *", true},
           {"2012-07-09T15:40:00Z", "0/15 * * * *", false},
           {"2012-07-09T15:05:00Z", "5/15 * * * *", true},
           {"2012-07-09T15:20:00Z", "5/15 * * * *", true},
           {"2012-07-09T15:50:00Z", "5/15 * * * *", true},
           {"2012-07-15T15:00:00Z", "0/15 * * Jul *", true},
           {"2012-07-15T15:00:00Z", "0/15 * * Jun *", false},
           {"2012-07-15T08:30:00Z", "30 08 ? Jul Sun", true},
           {"2012-07-15T08:30:00Z", "30 08 15 Jul ?", true},
           {"2012-07-16T08:30:00Z", "30 08 ? Jul Sun", false},
           {"2012-07-16T08:30:00Z", "30 08 15 Jul ?", false},
           {"2012-07-09T15:00:00Z", "@hourly", true},
           {"2012-07-09T15:04:00Z", "@hourly", false},
           {"2012-07-09T15:00:00Z", "@daily", false},
           {"2012-07-09T00:00:00Z", "@daily", true},
           {"2012-07-09T00:00:00Z", "@weekly", false},
           {"2012-07-08T00:00:00Z", "@weekly", true},
           {"2012-07-08T01:00:00Z", "@weekly", false},
           {"2012-07-08T00:00:00Z", "@monthly", false},
           {"2012-07-01T00:00:00Z", "@monthly", true},
           // both days given: one suffices, and a star with a step is no star
           {"2012-07-15T00:00:00Z", "* * 1,15 * Sun", true},
           {"2012-06-15T00:00:00Z", "* * 1,15 * Sun", true},
           {"2012-08-01T00:00:00Z", "* * 1,15 * Sun", true},
           {"2012-07-15T00:00:00Z", "* * */10 * Sun", true},
           {"2012-07-15T00:00:00Z", "* * */2 * Sun", true},
           // a star among them: both must fit
           {"2012-07-15T00:00:00Z", "* * * * Mon", false},
           {"2012-07-09T00:00:00Z", "* * 1,15 * *", false},
           {"2012-07-15T00:00:00Z", "* * 1,15 * *", true},
           {"2012-07-15T00:00:00Z", "* * */1 * Mon", false},
           {"2012-07-15T00:00:00Z", "* * 1,* * Mon", false},
       }) {
    const CronSchedule cron = CronSchedule::Parse(c.spec, absl::UTCTimeZone()).value();
    const absl::Time time = At(c.time);
    EXPECT_EQ(cron.Next(time - absl::Seconds(1)) == time, c.runs) << c.time << "  " << c.spec;
  }
}

// TestNext, without its seconds field.
TEST(NextRun, CarriesIntoTheHourTheDayTheMonthAndTheYear) {
  ExpectNext("UTC", {
                        {"2012-07-09T14:45:00Z", "0/15 * * * *", "2012-07-09T15:00:00Z"},
                        {"2012-07-09T14:59:00Z", "0/15 * * * *", "2012-07-09T15:00:00Z"},
                        {"2012-07-09T14:59:59Z", "0/15 * * * *", "2012-07-09T15:00:00Z"},
                        {"2012-07-09T14:59:59.999Z", "0/15 * * * *", "2012-07-09T15:00:00Z"},
                        {"2012-07-09T15:45:00Z", "20-35/15 * * * *", "2012-07-09T16:20:00Z"},
                        {"2012-07-09T23:46:00Z", "*/15 * * * *", "2012-07-10T00:00:00Z"},
                        {"2012-07-09T23:45:00Z", "20-35/15 * * * *", "2012-07-10T00:20:00Z"},
                        {"2012-07-09T23:35:51Z", "20-35/15 1/2 * * *", "2012-07-10T01:20:00Z"},
                        {"2012-07-09T23:35:51Z", "20-35/15 10-12 * * *", "2012-07-10T10:20:00Z"},
                        {"2012-07-09T23:35:51Z", "20-35/15 1/2 */2 * *", "2012-07-11T01:20:00Z"},
                        {"2012-07-09T23:35:51Z", "20-35/15 * 9-20 Jul *", "2012-07-10T00:20:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 9 Apr-Oct ?", "2012-08-09T00:00:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 */5 Apr,Aug,Oct Mon", "2012-08-01T00:00:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 */5 Oct Mon", "2012-10-01T00:00:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 * Feb Mon", "2013-02-04T00:00:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 * Feb Mon/2", "2013-02-01T00:00:00Z"},
                        {"2012-12-31T23:59:45Z", "* * * * *", "2013-01-01T00:00:00Z"},
                        {"2012-07-09T23:35:00Z", "0 0 29 Feb ?", "2016-02-29T00:00:00Z"},
                    });
}

TEST(NextRun, IsInfinitelyFarIfNoneComesInTheNextFiveYears) {
  ExpectNext("UTC", {
                        {"2012-07-09T23:35:00Z", "0 0 30 Feb ?", "never"},
                        {"2012-07-09T23:35:00Z", "0 0 31 Apr ?", "never"},
                        // 2100 has no 29 February
                        {"2096-02-29T00:00:00Z", "0 0 29 2 *", "never"},
                        {"2099-01-01T00:00:00Z", "0 0 29 2 *", "2104-02-29T00:00:00Z"},
                    });
}

TEST(NextRun, AnswersForEveryMomentAbseilKnows) {
  const CronSchedule daily = CronSchedule::Parse("@daily", absl::UTCTimeZone()).value();
  const CronSchedule every = CronSchedule::Parse("@every 1h", absl::UTCTimeZone()).value();
  for (const CronSchedule& cron : {daily, every}) {
    EXPECT_EQ(cron.Next(absl::InfiniteFuture()), absl::InfiniteFuture());
    EXPECT_GT(cron.Next(absl::InfinitePast()), absl::InfinitePast());
    EXPECT_LT(cron.Next(absl::InfinitePast()), absl::UnixEpoch());
  }
  EXPECT_EQ(daily.Next(absl::UnixEpoch() - absl::Milliseconds(1)), absl::UnixEpoch());
}

// TestNext, and Berlin.
TEST(NextRun, RunInsideSkippedHourDoesNotHappen) {
  // 2012-03-11: 2:00 becomes 3:00
  ExpectNext("America/New_York",
             {
                 {"2012-03-11T00:00:00-05:00", "30 2 11 Mar ?", "2013-03-11T02:30:00-04:00"},
                 {"2012-03-11T00:00:00-05:00", "0 2 * * ?", "2012-03-12T02:00:00-04:00"},
                 {"2012-03-11T00:00:00-05:00", "0 1 * * ?", "2012-03-11T01:00:00-05:00"},
                 {"2012-03-11T01:00:00-05:00", "0 1 * * ?", "2012-03-12T01:00:00-04:00"},
                 {"2012-03-11T00:00:00-05:00", "0 * * * ?", "2012-03-11T01:00:00-05:00"},
                 {"2012-03-11T01:00:00-05:00", "0 * * * ?", "2012-03-11T03:00:00-04:00"},
                 {"2012-03-11T03:00:00-04:00", "0 * * * ?", "2012-03-11T04:00:00-04:00"},
                 {"2012-03-11T04:00:00-04:00", "0 * * * ?", "2012-03-11T05:00:00-04:00"},
             });
  // 2024-03-31: 2:00 becomes 3:00
  ExpectNext("Europe/Berlin",
             {
                 {"2024-03-31T00:00:00+01:00", "30 2 * * *", "2024-04-01T02:30:00+02:00"},
                 {"2024-03-31T00:00:00+01:00", "0 */12 * * *", "2024-03-31T12:00:00+02:00"},
             });
}

// TestNext, and others.
TEST(NextRun, RunInsideRepeatedHourHappensTwice) {
  // 2012-11-04: 2:00 becomes 1:00
  ExpectNext("America/New_York",
             {
                 {"2012-11-04T00:00:00-04:00", "30 2 04 Nov ?", "2012-11-04T02:30:00-05:00"},
                 {"2012-11-04T01:45:00-04:00", "30 1 04 Nov ?", "2012-11-04T01:30:00-05:00"},
                 {"2012-11-04T00:00:00-04:00", "0 * * * ?", "2012-11-04T01:00:00-04:00"},
                 {"2012-11-04T01:00:00-04:00", "0 * * * ?", "2012-11-04T01:00:00-05:00"},
                 {"2012-11-04T01:00:00-05:00", "0 * * * ?", "2012-11-04T02:00:00-05:00"},
                 {"2012-11-04T00:00:00-04:00", "0 1 * * ?", "2012-11-04T01:00:00-04:00"},
                 {"2012-11-04T01:00:00-04:00", "0 1 * * ?", "2012-11-04T01:00:00-05:00"},
                 {"2012-11-04T01:00:00-05:00", "0 1 * * ?", "2012-11-05T01:00:00-05:00"},
                 {"2012-11-04T00:00:00-04:00", "0 2 * * ?", "2012-11-04T02:00:00-05:00"},
                 {"2012-11-04T02:00:00-05:00", "0 2 * * ?", "2012-11-05T02:00:00-05:00"},
                 {"2012-11-04T00:00:00-04:00", "0 3 * * ?", "2012-11-04T03:00:00-05:00"},
                 {"2012-11-04T03:00:00-05:00", "0 3 * * ?", "2012-11-05T03:00:00-05:00"},
                 {"2012-11-04T00:00:00-04:00", "0 3 3 * ?", "2012-12-03T03:00:00-05:00"},
             });
  // 2024-10-27: 3:00 becomes 2:00
  ExpectNext("Europe/Berlin",
             {
                 {"2024-10-27T00:00:00+02:00", "30 2 * * *", "2024-10-27T02:30:00+02:00"},
                 {"2024-10-27T02:30:00+02:00", "30 2 * * *", "2024-10-27T02:30:00+01:00"},
                 {"2024-10-27T02:30:00+01:00", "30 2 * * *", "2024-10-28T02:30:00+01:00"},
             });
  // 2018-02-18: midnight becomes 23:00 of the day before
  ExpectNext("America/Sao_Paulo",
             {
                 {"2018-02-17T12:00:00-02:00", "30 23 * * *", "2018-02-17T23:30:00-02:00"},
                 {"2018-02-17T23:30:00-02:00", "30 23 * * *", "2018-02-17T23:30:00-03:00"},
             });
}

// TestNextWithTz.
TEST(NextRun, SpecZoneDecidesAndNotTheLocalOne) {
  ExpectNext("Asia/Kolkata",
             {
                 {"2016-01-03T13:09:03+05:30", "14 14 * * *", "2016-01-03T14:14:00+05:30"},
                 {"2016-01-03T04:09:03+05:30", "14 14 * * ?", "2016-01-03T14:14:00+05:30"},
                 {"2016-01-03T14:09:03+05:30", "14 14 * * *", "2016-01-03T14:14:00+05:30"},
                 {"2016-01-03T14:00:00+05:30", "14 14 * * ?", "2016-01-03T14:14:00+05:30"},
                 {"2012-03-11T10:30:00+05:30", "TZ=America/New_York 0 2 * * ?",
                  "2012-03-12T11:30:00+05:30"},
             });
}

// TestNext, and others. 2018-11-04: midnight becomes 1:00.
TEST(NextRun, SkippedMidnightWestOfGreenwichLosesOnlyMidnight) {
  ExpectNext("America/Sao_Paulo",
             {
                 {"2018-10-17T06:00:00-03:00", "0 9 10 * ?", "2018-11-10T09:00:00-02:00"},
                 {"2018-02-14T08:00:00-02:00", "0 9 22 * ?", "2018-02-22T09:00:00-03:00"},
                 {"2018-11-03T10:00:00-03:00", "0 9 4 11 *", "2018-11-04T09:00:00-02:00"},
                 {"2018-11-03T10:00:00-03:00", "0 9 5 11 *", "2018-11-05T09:00:00-02:00"},
                 {"2018-11-03T10:00:00-03:00", "0 0 * * *", "2018-11-05T00:00:00-02:00"},
             });
}

// The same night: the search passes from the hours of the 3rd to those of the 4th without a midnight, where it would
// look at the day again.
TEST(NextRun, SkippedMidnightMayPutTheRunOnTheDayAfter) {
  ExpectNext("America/Sao_Paulo",
             {{"2018-11-03T02:00:00-03:00", "30 1 3 11 *", "2018-11-04T01:30:00-02:00"}});
}

// 2021-03-28: midnight becomes 1:00. One hour back from there is the 27th again, and the next step leads to the 29th.
TEST(NextRun, SkippedMidnightEastOfGreenwichLosesTheDayIfItIsLookedFor) {
  ExpectNext("Asia/Beirut",
             {
                 {"2021-03-27T10:00:00+02:00", "0 9 * * sun", "2021-04-04T09:00:00+03:00"},
                 {"2021-03-27T10:00:00+02:00", "0 9 28 3 *", "2022-03-28T09:00:00+03:00"},
                 {"2021-03-27T10:00:00+02:00", "0 9 * * *", "2021-03-28T09:00:00+03:00"},
                 {"2021-03-27T10:00:00+02:00", "0 0 * * *", "2021-03-29T00:00:00+03:00"},
             });
  // 2006-04-01, and the month is not looked at again
  ExpectNext("Asia/Gaza",
             {{"2006-03-16T10:00:00+02:00", "0 9 15 3 *", "2006-04-15T09:00:00+03:00"}});
}

// 2024-04-07: 2:00 becomes 1:30. Whole hours from 0:00 come to 1:00, 1:30 and 2:30.
TEST(NextRun, HalfHourChangeLosesARunIfAskedBeforeItButNotIfAskedAfter) {
  ExpectNext("Australia/Lord_Howe",
             {
                 {"2024-04-07T00:10:00+11:00", "0 2 * * *", "2024-04-08T02:00:00+10:30"},
                 {"2024-04-07T01:59:59+10:30", "0 2 * * *", "2024-04-07T02:00:00+10:30"},
             });
}

// 1989-10-29: 0:01 becomes 23:01 of the day before. The library answers with the first midnight, an hour and a half
// before the question.
TEST(NextRun, IsAfterTheQuestionWhereClocksGoBackAcrossMidnight) {
  ExpectNext("America/St_Johns",
             {{"1989-10-28T23:58:00-03:30", "0 0 * * *", "1989-10-29T00:00:00-03:30"}});
}

// Pacific/Apia had no 2011-12-30. The library does not return from this.
TEST(NextRun, GoesOnWhereAZoneDroppedADay) {
  ExpectNext("Pacific/Apia",
             {{"2011-12-29T05:00:00-10:00", "0 9 31 12 *", "2011-12-31T09:00:00+14:00"}});
}

// --- properties ---

// A field as text, and what it means by the definition.
struct Field {
  std::string text;
  std::set<int> values;
  bool star = false;
};

rc::Gen<Field> AnyPart(int min, int max) {
  const auto value = rc::gen::inRange(min, max + 1);
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 6), value, value, rc::gen::inRange(1, 10)),
      [min, max](const std::tuple<int, int, int, int>& choice) {
        const auto [form, a, b, step] = choice;
        const auto [low, high] = std::minmax(a, b);
        const auto part = [](std::string text, int first, int last, int by, bool star) {
          Field out{.text = std::move(text), .values = {}, .star = star};
          for (int v = first; v <= last; v += by) out.values.insert(v);
          return out;
        };
        if (form == 0) return part("*", min, max, 1, true);
        if (form == 1) return part(fmt::format("*/{}", step), min, max, step, step == 1);
        if (form == 2) return part(fmt::format("{}-{}", low, high), low, high, 1, false);
        if (form == 3)
          return part(fmt::format("{}-{}/{}", low, high, step), low, high, step, false);
        if (form == 4) return part(fmt::format("{}/{}", a, step), a, max, step, false);
        return part(fmt::format("{}", a), a, a, 1, false);
      });
}

Field PickField(int min, int max) {
  Field out;
  for (const Field& part : *rc::gen::container<std::vector<Field>>(
           *rc::gen::inRange<std::size_t>(1, 4), AnyPart(min, max))) {
    out.text += (out.text.empty() ? "" : ",") + part.text;
    out.values.insert(part.values.begin(), part.values.end());
    out.star = out.star || part.star;
  }
  return out;
}

struct Spec {
  Field minute, hour, day, month, weekday;

  std::string text() const {
    return fmt::format("{} {} {} {} {}", minute.text, hour.text, day.text, month.text,
                       weekday.text);
  }
  CronSchedule In(absl::TimeZone zone) const { return CronSchedule::Parse(text(), zone).value(); }

  bool Fits(absl::CivilSecond t) const {
    const bool day_fits = day.values.contains(t.day());
    const bool weekday_fits =
        weekday.values.contains((static_cast<int>(absl::GetWeekday(t)) + 1) % 7);
    return minute.values.contains(t.minute()) && hour.values.contains(t.hour()) &&
           month.values.contains(t.month()) &&
           (day.star || weekday.star ? day_fits && weekday_fits : day_fits || weekday_fits);
  }
};

Spec PickSpec() {
  // named one by one, because the order of picking is part of a repeated run
  Spec out;
  out.minute = PickField(0, 59);
  out.hour = PickField(0, 23);
  out.day = PickField(1, 31);
  out.month = PickField(1, 12);
  out.weekday = PickField(0, 6);
  RC_LOG() << out.text() << "\n";
  return out;
}

absl::Time PickTime(absl::Time begin, absl::Duration length) {
  const auto seconds = *rc::gen::inRange<std::int64_t>(0, absl::ToInt64Seconds(length));
  const auto milliseconds = *rc::gen::element<std::int64_t>(0, 1, 999);
  return begin + absl::Seconds(seconds) + absl::Milliseconds(milliseconds);
}

absl::Time PickTimeIn2024To2027() {
  return PickTime(At("2024-01-01T00:00:00Z"), absl::Hours(24 * 365 * 4));
}

absl::TimeZone PickFixedZone() {
  return absl::FixedTimeZone(60 * *rc::gen::inRange(-12 * 60, 14 * 60 + 1));
}

// The days on which clocks change by one hour, not at midnight, in the west and in the east.
struct ChangeOfClocks {
  std::string zone;
  std::string_view day_before;
};
const std::array<ChangeOfClocks, 4> kChanges = {{{"America/New_York", "2024-03-09T05:00:00Z"},
                                                 {"America/New_York", "2024-11-02T04:00:00Z"},
                                                 {"Europe/Berlin", "2024-03-29T23:00:00Z"},
                                                 {"Europe/Berlin", "2024-10-25T22:00:00Z"}}};
constexpr absl::Duration kThreeDays = absl::Hours(72);

ChangeOfClocks PickChange() { return kChanges[*rc::gen::inRange<std::size_t>(0, kChanges.size())]; }

// Looks at every minute of three days: Next must find the first that fits, or lie behind them.
void ExpectAsMinuteByMinute(const Spec& spec, absl::TimeZone zone, absl::Time after) {
  const absl::Time next = spec.In(zone).Next(after);
  const absl::Time end = after + kThreeDays;
  absl::Time t = absl::UnixEpoch() + absl::Floor(after - absl::UnixEpoch(), absl::Minutes(1));
  do {
    t += absl::Minutes(1);
  } while (t < end && !spec.Fits(zone.At(t).cs));
  RC_LOG() << "after " << Shown(after, zone) << " came " << Shown(next, zone) << ", by minutes "
           << Shown(t, zone) << "\n";
  RC_ASSERT((t < end ? next == t : next >= end));
}

RC_GTEST_PROP(NextRunProperty, EqualsMinuteByMinuteInAFixedZone, ()) {
  const Spec spec = PickSpec();
  ExpectAsMinuteByMinute(spec, PickFixedZone(), PickTimeIn2024To2027());
}

RC_GTEST_PROP(NextRunProperty, EqualsMinuteByMinuteWhenClocksChangeByAnHour, ()) {
  const Spec spec = PickSpec();
  const ChangeOfClocks change = PickChange();
  ExpectAsMinuteByMinute(spec, Zone(change.zone), PickTime(At(change.day_before), kThreeDays));
}

RC_GTEST_PROP(NextRunProperty, AskingLaterNeverAnswersEarlier, ()) {
  const Spec spec = PickSpec();
  const absl::TimeZone zone = PickFixedZone();
  const auto [a, b] = std::minmax({PickTimeIn2024To2027(), PickTimeIn2024To2027()});
  RC_ASSERT(spec.In(zone).Next(a) <= spec.In(zone).Next(b));
}

RC_GTEST_PROP(NextRunProperty, AskingLaterNeverAnswersEarlierWhenClocksChangeByAnHour, ()) {
  const Spec spec = PickSpec();
  const ChangeOfClocks change = PickChange();
  const CronSchedule cron = spec.In(Zone(change.zone));
  const absl::Time begin = At(change.day_before);
  const auto [a, b] = std::minmax({PickTime(begin, kThreeDays), PickTime(begin, kThreeDays)});
  RC_ASSERT(cron.Next(a) <= cron.Next(b));
}

RC_GTEST_PROP(NextRunProperty, IsLaterAndOnAFullMinuteInEveryZone, ()) {
  const Spec spec = PickSpec();
  const absl::TimeZone zone = Zone(*rc::gen::element<std::string>(
      "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Asia/Beirut",
      "Asia/Kathmandu", "Africa/Cairo", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia",
      "Pacific/Chatham"));
  const absl::Time after = PickTime(At("1980-01-01T00:00:00Z"), absl::Hours(24 * 365 * 60));
  const absl::Time next = spec.In(zone).Next(after);
  RC_ASSERT(next > after);
  RC_ASSERT((next == absl::InfiniteFuture() || zone.At(next).cs.second() == 0));
}

}  // namespace
}  // namespace holdfast
