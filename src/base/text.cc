#include "base/text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace holdfast {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"\xC2\xB5s", 1'000},  // U+00B5 micro sign
                                         {"\xCE\xBCs", 1'000},  // U+03BC Greek mu
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes digits off the front of `text` as an integer; nullopt on overflow.
std::optional<std::int64_t> TakeDigits(std::string_view& text) {
  std::int64_t value = 0;
  while (!text.empty() && IsDigit(text[0])) {
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text[0] - '0', &value)) {
      return std::nullopt;
    }
    text.remove_prefix(1);
  }
  return value;
}

// The digits after a point, as digits / scale. Those that no longer count are passed over.
struct Fraction {
  std::int64_t digits = 0;
  double scale = 1;
};
Fraction TakeFraction(std::string_view& text) {
  constexpr double kScaleMax = 1e18;
  Fraction out;
  for (; !text.empty() && IsDigit(text[0]); text.remove_prefix(1)) {
    if (out.scale >= kScaleMax) continue;
    out.digits = out.digits * 10 + (text[0] - '0');
    out.scale *= 10;
  }
  return out;
}

}  // namespace

std::string FormatRfc3339(absl::Time time, absl::TimeZone zone) {
  std::string out = absl::FormatTime("%Y-%m-%d%ET%H:%M:%S%Ez", time, zone);
  if (out.ends_with("+00:00")) out.replace(out.size() - 6, 6, "Z");
  return out;
}

std::string FormatRfc3339Utc(absl::Time time) { return FormatRfc3339(time, absl::UTCTimeZone()); }

std::string FormatRfc3339Nano(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

StatusOr<absl::Time> ParseRfc3339(std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, absl::string_view(text.data(), text.size()), &time,
                       &error)) {
    return InvalidArgumentError("\"{}\" is not a time like 2025-07-22T10:02:03Z", text);
  }
  return time;
}

StatusOr<absl::Duration> ParseGoDuration(std::string_view text) {
  const auto invalid = [&] {
    return InvalidArgumentError("\"{}\" is not a duration like 30s, 5m or 1h30m", text);
  };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return absl::ZeroDuration();
  if (rest.empty()) return invalid();
  std::int64_t total = 0;
  while (!rest.empty()) {
    const std::size_t before = rest.size();
    const auto whole = TakeDigits(rest);
    if (!whole) return invalid();
    bool has_digits = rest.size() != before;
    Fraction fraction;
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      const std::size_t point = rest.size();
      fraction = TakeFraction(rest);
      has_digits = has_digits || rest.size() != point;
    }
    if (!has_digits) return invalid();
    std::size_t unit_size = 0;
    while (unit_size < rest.size() && rest[unit_size] != '.' && !IsDigit(rest[unit_size])) {
      ++unit_size;
    }
    const std::string_view unit_name = rest.substr(0, unit_size);
    rest.remove_prefix(unit_size);
    const Unit* unit = nullptr;
    for (const Unit& u : kUnits) {
      if (u.name == unit_name) unit = &u;
    }
    if (unit == nullptr) return invalid();
    // In this order it is exact for what people write, as in Go.
    const double part = static_cast<double>(fraction.digits) *
                        (static_cast<double>(unit->nanoseconds) / fraction.scale);
    std::int64_t piece;
    if (__builtin_mul_overflow(*whole, unit->nanoseconds, &piece) ||
        __builtin_add_overflow(piece, static_cast<std::int64_t>(part), &piece) ||
        __builtin_add_overflow(total, piece, &total)) {
      return invalid();
    }
  }
  return absl::Nanoseconds(negative ? -total : total);
}

std::string FormatGoDuration(absl::Duration duration) {
  std::int64_t ns = absl::ToInt64Nanoseconds(duration);
  if (ns == 0) return "0s";
  const bool negative = ns < 0;
  std::uint64_t u = negative ? ~static_cast<std::uint64_t>(ns) + 1 : static_cast<std::uint64_t>(ns);
  std::string out = negative ? "-" : "";
  // Below a second Go picks the largest unit that leaves a whole part.
  const auto scaled = [](std::uint64_t value, std::uint64_t unit) {
    std::string text = fmt::format("{}", value / unit);
    if (std::uint64_t rest = value % unit; rest != 0) {
      std::string digits = fmt::format("{:0{}}", rest,
                                       unit == 1'000'000'000 ? 9
                                       : unit == 1'000'000   ? 6
                                                             : 3);
      while (digits.back() == '0') digits.pop_back();
      text += "." + digits;
    }
    return text;
  };
  if (u < 1'000) return out + fmt::format("{}ns", u);
  if (u < 1'000'000) return out + scaled(u, 1'000) + "\xC2\xB5s";
  if (u < 1'000'000'000) return out + scaled(u, 1'000'000) + "ms";
  constexpr std::uint64_t kMinute = 60'000'000'000, kHour = 60 * kMinute;
  if (u >= kHour) out += fmt::format("{}h", u / kHour);
  if (u >= kMinute) out += fmt::format("{}m", u % kHour / kMinute);
  return out + scaled(u % kMinute, 1'000'000'000) + "s";
}

std::string FormatBytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 7> kNames = {"B",  "kB", "MB", "GB",
                                                             "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kNames.size()) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", value, value < 99.95 ? 1 : 0, kNames[unit]);
}

std::optional<std::int64_t> ParseInt(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> ParseUint(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view ShortEscape(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return {};
  }
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (true) {
    const auto at = text.find(separator);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

}  // namespace holdfast
