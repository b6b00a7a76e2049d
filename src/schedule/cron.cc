#include "schedule/cron.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kBlank = " \t\n\v\f\r";
constexpr std::string_view kDigits = "0123456789";

// Next() answers for `after` in the years 1 to 9999; these keep its sums far from any overflow.
constexpr absl::Time kEarliest = absl::FromUnixSeconds(-62135596800);
constexpr absl::Time kLatest = absl::FromUnixSeconds(253402300799);

constexpr std::array<std::string_view, 12> kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdayNames = {"sun", "mon", "tue", "wed",
                                                           "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  std::uint64_t min;
  std::uint64_t max;
  std::span<const std::string_view> names;  // of min, min + 1 ...
  std::string_view hint;
};

constexpr Field kMinute = {.name = "minute",
                           .min = 0,
                           .max = 59,
                           .names = {},
                           .hint = R"(Minutes are 0-59: "0,30 * * * *" runs every half hour.)"};
constexpr Field kHour = {.name = "hour",
                         .min = 0,
                         .max = 23,
                         .names = {},
                         .hint = R"(Hours are 0-23: "0 */12 * * *" runs at midnight and at noon.)"};
constexpr Field kDay = {
    .name = "day of month",
    .min = 1,
    .max = 31,
    .names = {},
    .hint = R"(Days of the month are 1-31: "0 3 1,15 * *" runs on the 1st and the 15th at three.)"};
constexpr Field kMonth = {
    .name = "month",
    .min = 1,
    .max = 12,
    .names = kMonthNames,
    .hint = R"(Months are 1-12 or jan-dec: "0 3 1 jan,jul *" runs on two days a year at three.)"};
constexpr Field kWeekday = {
    .name = "day of week",
    .min = 0,
    .max = 6,
    .names = kWeekdayNames,
    .hint =
        R"(Days of the week are 0-6 or sun-sat, 0 is Sunday: "0 3 * * mon-fri" skips weekends.)"};

constexpr std::string_view kFieldsHint =
    "The fields are minute, hour, day of month, month and day of week; there is no seconds field: "
    R"("0 */12 * * *" runs at midnight and at noon.)";
constexpr std::string_view kDescriptorHint =
    "There are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, "
    R"(and @every with a duration: "@every 6h" runs six hours after each run.)";
constexpr std::string_view kZoneHint =
    "Zones are those of the tz database (package tzdata) and stand in front: "
    R"("CRON_TZ=Europe/Berlin 0 3 * * *" runs at three in Berlin.)";

struct Descriptor {
  std::string_view name;
  std::string_view fields;
};
constexpr std::array<Descriptor, 7> kDescriptors = {{{"@yearly", "0 0 1 1 *"},
                                                     {"@annually", "0 0 1 1 *"},
                                                     {"@monthly", "0 0 1 * *"},
                                                     {"@weekly", "0 0 * * 0"},
                                                     {"@daily", "0 0 * * *"},
                                                     {"@midnight", "0 0 * * *"},
                                                     {"@hourly", "0 * * * *"}}};

// The values of a field, and whether it has a star without a step.
struct Values {
  std::uint64_t set = 0;
  bool star = false;
};

template <typename... Args>
Status FieldError(const Field& field, fmt::format_string<Args...> format, Args&&... args) {
  return WithHint(
      InvalidArgumentError("{}: {}", field.name, fmt::format(format, std::forward<Args>(args)...)),
      field.hint);
}

// As strconv.Atoi reads what is not negative: digits, with a plus sign or without. What overflows becomes the largest
// number, which no field allows.
std::optional<std::uint64_t> ReadNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of(kDigits) != std::string_view::npos) {
    return std::nullopt;
  }
  return ParseUint(text).value_or(std::numeric_limits<std::uint64_t>::max());
}

StatusOr<std::uint64_t> ReadValue(std::string_view text, const Field& field) {
  const auto name = std::find(field.names.begin(), field.names.end(), ToLower(text));
  if (name != field.names.end()) {
    return field.min + static_cast<std::uint64_t>(name - field.names.begin());
  }
  const std::optional<std::uint64_t> number = ReadNumber(text);
  if (!number && field.names.empty()) return FieldError(field, "\"{}\" is not a number", text);
  if (!number) {
    return FieldError(field, "\"{}\" is neither a number nor a name such as {}", text,
                      field.names[0]);
  }
  if (*number < field.min) return FieldError(field, "{} is below the minimum {}", text, field.min);
  if (*number > field.max) return FieldError(field, "{} is above the maximum {}", text, field.max);
  return *number;
}

StatusOr<std::uint64_t> ReadStep(std::string_view text, const Field& field) {
  const std::optional<std::uint64_t> step = ReadNumber(text);
  if (!step) return FieldError(field, "the step \"{}\" is not a number", text);
  if (*step == 0) return FieldError(field, "the step {} is below the minimum 1", text);
  // the library reads an int; a step beyond the field is fine and leaves the first value
  if (*step > std::numeric_limits<std::int64_t>::max()) {
    return FieldError(field, "the step {} is too large", text);
  }
  return *step;
}

// One part of a list: *, N or A-B, then perhaps /step. Source: getRange and getBits in parser.go.
StatusOr<Values> ReadRange(std::string_view text, const Field& field) {
  const std::vector<std::string> range_and_step = Split(text, '/');
  if (range_and_step.size() > 2) return FieldError(field, "\"{}\" has more than one slash", text);
  const bool has_step = range_and_step.size() == 2;
  const std::vector<std::string> ends = Split(range_and_step[0], '-');
  if (ends.size() > 2) return FieldError(field, "\"{}\" has more than one hyphen", text);
  if (ends.front().empty() || ends.back().empty() || range_and_step.back().empty()) {
    return FieldError(field, "\"{}\" lacks a number", text);
  }
  const bool star = ends[0] == "*" || ends[0] == "?";
  if (star && ends.size() == 2) return FieldError(field, "\"{}\" is a star with a range", text);

  std::uint64_t first = field.min, last = field.max, step = 1;
  if (!star) {
    ASSIGN_OR_RETURN(first, ReadValue(ends[0], field));
    if (ends.size() == 2) {
      ASSIGN_OR_RETURN(last, ReadValue(ends[1], field));
    } else if (!has_step) {
      last = first;
    }
    if (first > last) return FieldError(field, "the range {} runs backwards", range_and_step[0]);
  }
  if (has_step) {
    ASSIGN_OR_RETURN(step, ReadStep(range_and_step[1], field));
  }
  Values out{.star = star && step == 1};
  for (std::uint64_t value = first; value <= last; value += step) {
    out.set |= std::uint64_t{1} << value;
  }
  return out;
}

// Source: getField, which skips empty parts.
StatusOr<Values> ReadList(std::string_view text, const Field& field) {
  Values out;
  for (const std::string& part : Split(text, ',')) {
    if (part.empty()) continue;
    ASSIGN_OR_RETURN(const Values values, ReadRange(part, field));
    out.set |= values.set;
    out.star = out.star || values.star;
  }
  if (out.set == 0) return FieldError(field, "\"{}\" names no value", text);
  return out;
}

// strings.Fields
std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    const auto begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    out.push_back(text.substr(0, text.find_first_of(kBlank)));
    text.remove_prefix(out.back().size());
  }
}

StatusOr<CronFields> ReadFields(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 5) {
    return WithHint(InvalidArgumentError("expected 5 fields, found {}", words.size()), kFieldsHint);
  }
  ASSIGN_OR_RETURN(const Values minutes, ReadList(words[0], kMinute));
  ASSIGN_OR_RETURN(const Values hours, ReadList(words[1], kHour));
  ASSIGN_OR_RETURN(const Values days, ReadList(words[2], kDay));
  ASSIGN_OR_RETURN(const Values months, ReadList(words[3], kMonth));
  ASSIGN_OR_RETURN(const Values weekdays, ReadList(words[4], kWeekday));
  return CronFields{.minutes = minutes.set,
                    .hours = hours.set,
                    .days = days.set,
                    .months = months.set,
                    .weekdays = weekdays.set,
                    .either_day_suffices = !days.star && !weekdays.star};
}

// Source: Every in constantdelay.go.
StatusOr<absl::Duration> ReadEvery(std::string_view text) {
  const StatusOr<absl::Duration> length = ParseGoDuration(text);
  if (!length.ok()) return WithHint(Annotate(length.status(), "@every"), kDescriptorHint);
  return absl::Floor(std::max(*length, absl::Seconds(1)), absl::Seconds(1));
}

// Source: parseDescriptor; its schedules are those of kDescriptors.
StatusOr<std::variant<CronFields, absl::Duration>> ReadRule(std::string_view text) {
  if (!text.starts_with('@')) return ReadFields(text);
  constexpr std::string_view kEvery = "@every ";
  if (text.starts_with(kEvery)) return ReadEvery(text.substr(kEvery.size()));
  for (const Descriptor& descriptor : kDescriptors) {
    if (text == descriptor.name) return ReadFields(descriptor.fields);
  }
  return WithHint(InvalidArgumentError("unknown descriptor \"{}\"", text), kDescriptorHint);
}

// As time.LoadLocation: "" is UTC, "Local" the local zone, and a name never leaves the database. Names there start with a
// letter and need no more than these characters; abseil alone would also take "/any/file" and "../".
std::optional<absl::TimeZone> FindZone(std::string_view name, absl::TimeZone local) {
  constexpr std::string_view kNameCharacters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
  constexpr std::size_t kLetters = 52;
  if (name.empty()) return absl::UTCTimeZone();
  if (name == "Local") return local;
  if (kNameCharacters.find(name[0]) >= kLetters) return std::nullopt;
  if (name.find_first_not_of(kNameCharacters) != std::string_view::npos) return std::nullopt;
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

// Takes TZ=NAME or CRON_TZ=NAME and a space off the front of `text`, if it is there. Source: Parser.Parse, which reads
// the name up to the first space and panics if there is none.
StatusOr<absl::TimeZone> TakeZone(std::string_view& text, absl::TimeZone local) {
  if (!text.starts_with("TZ=") && !text.starts_with("CRON_TZ=")) return local;
  text.remove_prefix(text.find('=') + 1);
  const std::string_view name = text.substr(0, text.find(' '));
  text = Trim(text.substr(name.size()));
  const std::optional<absl::TimeZone> zone = FindZone(name, local);
  if (!zone) return WithHint(InvalidArgumentError("unknown time zone \"{}\"", name), kZoneHint);
  return *zone;
}

}  // namespace

StatusOr<CronSchedule> CronSchedule::Parse(std::string_view spec, absl::TimeZone local) {
  std::string_view rest = spec;
  ASSIGN_OR_RETURN(const absl::TimeZone zone, TakeZone(rest, local), "invalid cron \"{}\"", spec);
  ASSIGN_OR_RETURN(const Rule rule, ReadRule(rest), "invalid cron \"{}\"", spec);
  return CronSchedule(std::string(spec), zone, rule);
}

absl::Time CronSchedule::Next(absl::Time after) const {
  if (after > kLatest) return absl::InfiniteFuture();
  const absl::Time from = std::max(after, kEarliest);
  if (const auto* every = std::get_if<absl::Duration>(&rule_)) {
    return absl::FromUnixSeconds(absl::ToUnixSeconds(from)) + *every;
  }
  return NextRun(std::get<CronFields>(rule_), zone_, from);
}

}  // namespace holdfast
