// The arithmetic below CronSchedule (cron.h): which numbers each field names, and the first moment that has them all.
// Pure: sets, a zone and a moment go in, a moment comes out.
//
// It takes the same steps as SpecSchedule.Next of github.com/robfig/cron v3.0.1 (spec.go), the library behind RKE2's
// schedules, so that it agrees with it also on the days when clocks change:
//   - a run inside the skipped hour does not happen that day;
//   - a run inside the repeated hour happens twice;
//   - where midnight itself is skipped (Beirut, Cairo), or half an hour repeated (Lord Howe), the run of that day may be
//     lost or, rarely, fall on the day after; next_run_test.cc has the cases.
// It departs from the library where that breaks its own contract: where a zone drops a whole day the library does not
// return, and where clocks go back across midnight, or by hours, it may return a moment that is not after `after`.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace holdfast {

// Bit n of a set stands for the value n. Each set holds at least one value that can occur.
struct CronFields {
  std::uint64_t minutes = 0;         // 0-59
  std::uint64_t hours = 0;           // 0-23
  std::uint64_t days = 0;            // 1-31
  std::uint64_t months = 0;          // 1-12
  std::uint64_t weekdays = 0;        // 0-6, 0 is Sunday
  bool either_day_suffices = false;  // a day needs to be in `days` or in `weekdays`; else in both
};

// The first moment after `after` that has these fields in `zone`, at second 0; InfiniteFuture() if there is none in the
// calendar year of `after` and the five that follow. `after` lies in the years 1 to 9999. It takes about a thousand steps
// at most, because a field that does not fit is passed in steps of its own size.
absl::Time NextRun(const CronFields& fields, absl::TimeZone zone, absl::Time after);

}  // namespace holdfast
