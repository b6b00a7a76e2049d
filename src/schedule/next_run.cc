#include "schedule/next_run.h"

namespace holdfast {
namespace {

constexpr int kYearsAhead = 5;  // SpecSchedule.Next: yearLimit

bool Has(std::uint64_t set, int value) { return (set >> value & 1) != 0; }

// A moment that walks forward until every field fits. Each Seek function steps by its own unit and returns false when
// that carried into the next larger one: the larger fields must then be looked at again.
class Search {
 public:
  Search(const CronFields& fields, absl::TimeZone zone, absl::Time after)
      : fields_(fields), zone_(zone), after_(absl::FromUnixSeconds(absl::ToUnixSeconds(after))) {
    MoveTo(after_ + absl::Seconds(1));
  }

  absl::Time Run() {
    const absl::civil_year_t last_year = local_.year() + kYearsAhead;
    while (local_.year() <= last_year) {
      if (!(SeekMonth() && SeekDay() && SeekHour() && SeekMinute() && SeekSecond())) continue;
      if (time_ > after_) return time_;
      MoveTo(FullHourAfter(after_));
    }
    return absl::InfiniteFuture();
  }

 private:
  bool SeekMonth() {
    while (!Has(fields_.months, local_.month())) {
      AlignTo(absl::CivilSecond(absl::CivilMonth(local_)));
      MoveTo(LocalAfter(/*months=*/1, /*days=*/0));
      if (local_.month() == 1) return false;
    }
    return true;
  }

  bool SeekDay() {
    while (!DayFits()) {
      AlignTo(absl::CivilSecond(absl::CivilDay(local_)));
      StepDay();
      if (local_.day() == 1) return false;
    }
    return true;
  }

  bool SeekHour() {
    while (!Has(fields_.hours, local_.hour())) {
      AlignTo(absl::CivilSecond(absl::CivilHour(local_)));
      MoveTo(time_ + absl::Hours(1));
      if (local_.hour() == 0) return false;
    }
    return true;
  }

  bool SeekMinute() {
    while (!Has(fields_.minutes, local_.minute())) {
      AlignTo(absl::UnixEpoch() + absl::Floor(time_ - absl::UnixEpoch(), absl::Minutes(1)));
      MoveTo(time_ + absl::Minutes(1));
      if (local_.minute() == 0) return false;
    }
    return true;
  }

  // Only second 0 fits; reaching it is always a carry.
  bool SeekSecond() {
    if (local_.second() == 0) return true;
    AlignTo(time_);
    MoveTo(time_ + absl::Seconds(60 - local_.second()));
    return false;
  }

  // dayMatches in spec.go
  bool DayFits() const {
    // absl counts weekdays from Monday
    const int weekday = (static_cast<int>(absl::GetWeekday(local_)) + 1) % 7;
    const bool day = Has(fields_.days, local_.day());
    const bool day_of_week = Has(fields_.weekdays, weekday);
    return fields_.either_day_suffices ? day || day_of_week : day && day_of_week;
  }

  // Where clocks go back across midnight (America/St_Johns, 1989-10-29) a search that begins at the second 23:58 may come
  // out at the first midnight. Nothing fits in the hour it began in, or it would have stopped there.
  absl::Time FullHourAfter(absl::Time time) const {
    const absl::CivilSecond local = zone_.At(time).cs;
    return time + absl::Hours(1) - absl::Minutes(local.minute()) - absl::Seconds(local.second());
  }

  // To the next midnight. Where clocks skipped it the day begins at 1:00, and that hour stays on in the steps after it; the
  // library puts it right by whole hours, towards the nearer midnight. East of Greenwich that leads from the 1:00 of the
  // skipped midnight back to 23:00 of the day before, and the next step misses the day.
  void StepDay() {
    const absl::Time before = time_;
    MoveTo(LocalAfter(/*months=*/0, /*days=*/1));
    const int hour = local_.hour();
    if (hour != 0) MoveTo(time_ + absl::Hours(hour > 12 ? 24 - hour : -hour));
    // Pacific/Apia had no 2011-12-30: its midnight is read as that of the 29th, and the library stays there for ever.
    if (time_ <= before) MoveTo(before + absl::Hours(24));
  }

  // The first step goes back to the start of its unit; from then on the time stands on one.
  template <typename TimeOrCivilSecond>
  void AlignTo(TimeOrCivilSecond start) {
    if (!aligned_) MoveTo(start);
    aligned_ = true;
  }

  // Go's Time.AddDate: 31 January and a month is 3 March.
  absl::CivilSecond LocalAfter(int months, int days) const {
    return absl::CivilSecond(local_.year(), local_.month() + months, local_.day() + days,
                             local_.hour(), local_.minute(), local_.second());
  }

  void MoveTo(absl::Time time) {
    time_ = time;
    local_ = zone_.At(time).cs;
  }

  // Go's time.Date. Of a repeated time it takes the first west of Greenwich and mostly the second east of it; a skipped time
  // becomes an earlier one in the west and a later one in the east.
  void MoveTo(absl::CivilSecond local) {
    const absl::Time as_if_utc = absl::FromCivil(local, absl::UTCTimeZone());
    const absl::Time guess = as_if_utc - absl::Seconds(zone_.At(as_if_utc).offset);
    MoveTo(as_if_utc - absl::Seconds(zone_.At(guess).offset));
  }

  const CronFields& fields_;
  absl::TimeZone zone_;
  absl::Time after_;  // to the second
  absl::Time time_;
  absl::CivilSecond local_;  // time_ in zone_
  bool aligned_ = false;
};

}  // namespace

absl::Time NextRun(const CronFields& fields, absl::TimeZone zone, absl::Time after) {
  return Search(fields, zone, after).Run();
}

}  // namespace holdfast
