// A schedule as operators write it: `0 */12 * * *`, `@daily`, `CRON_TZ=Europe/Berlin 30 3 * * mon-fri`, `@every 6h`.
// Configuration parses it once at start; the timer asks Next() after each run. Pure values: no clock, no threads. The one
// thing read from outside is the time zone database (/usr/share/zoneinfo, through abseil).
//
// The dialect is that of ParseStandard in github.com/robfig/cron v3.0.1 (parser.go, constantdelay.go), so that what RKE2
// accepts means the same here:
//   five fields      minute 0-59, hour 0-23, day of month 1-31, month 1-12 or jan-dec, day of week 0-6 or sun-sat (0 is
//                    Sunday, 7 is an error)
//   a field          a list of *, N and A-B, each perhaps with a /step; ? means *, and N/step means N-max/step
//   the two days     a run needs both to fit if one of them has a star, else one; a star with a step above 1 is none
//   descriptors      @yearly @annually @monthly @weekly @daily @midnight @hourly
//   @every DURATION  in Go's syntax, cut to whole seconds, at least one; it counts from the last run, not from midnight
//   zone             TZ=NAME or CRON_TZ=NAME and a space, in front of all this
// Stricter than the library: a range after a star (`*-5`, `*-x`: it ignores what follows the hyphen), a field of commas
// alone (it names no value) and blanks outside ASCII are errors here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/time/time.h"
#include "base/status.h"
#include "schedule/next_run.h"

namespace holdfast {

class CronSchedule {
 public:
  // A spec without a zone of its own runs in `local`. kInvalidArgument names the field, the text and what is allowed; its
  // hint shows a schedule that is right.
  static StatusOr<CronSchedule> Parse(std::string_view spec, absl::TimeZone local);

  // The first run strictly after `after`, on a whole second; InfiniteFuture() if there is none in this calendar year and
  // the five after it. `0 0 31 2 *` is such a spec and still parses: whoever starts a schedule must refuse it if
  // Next(now) is InfiniteFuture(), or it fails in silence. On the days when clocks change see next_run.h.
  // Source: SpecSchedule.Next and ConstantDelaySchedule.Next.
  absl::Time Next(absl::Time after) const;

  // As it was given to Parse.
  const std::string& text() const { return text_; }

  // The zone of the spec, else the local one.
  absl::TimeZone zone() const { return zone_; }

 private:
  using Rule = std::variant<CronFields, absl::Duration>;  // the second is that of @every

  CronSchedule(std::string text, absl::TimeZone zone, Rule rule)
      : text_(std::move(text)), zone_(zone), rule_(rule) {}

  std::string text_;
  absl::TimeZone zone_;
  Rule rule_;
};

}  // namespace holdfast
