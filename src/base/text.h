// Small texts for people and from people: times, durations, sizes, numbers. No I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace holdfast {

// RFC 3339 to the second: "2025-07-22T10:02:03Z" in UTC, "...+02:00" elsewhere.
std::string FormatRfc3339(absl::Time time, absl::TimeZone zone);
std::string FormatRfc3339Utc(absl::Time time);
// With nanoseconds as Go's RFC3339Nano prints them (trailing zeros cut), in UTC.
std::string FormatRfc3339Nano(absl::Time time);
StatusOr<absl::Time> ParseRfc3339(std::string_view text);

// Go's time.Duration syntax: "300ms", "-1.5h", "2h45m", "0"; units ns us µs ms s m h.
// Source: the Go standard library's documentation of time.ParseDuration.
StatusOr<absl::Duration> ParseGoDuration(std::string_view text);
// Go's Duration.String(): "5m0s", "1.5s", "100ms", "0s".
std::string FormatGoDuration(absl::Duration duration);

// "1.9 MB", "312 B": powers of 1000, as etcdctl prints sizes.
std::string FormatBytes(std::uint64_t bytes);

// The whole text as a number of that type, decimal; nothing else before or after.
std::optional<std::int64_t> ParseInt(std::string_view text);
std::optional<std::uint64_t> ParseUint(std::string_view text);

// How Go writes this character between quotes, if it takes a backslash and a letter (\" \\ \n \r \t); else empty.
std::string_view ShortEscape(char c);

std::string ToLower(std::string_view text);
std::string_view Trim(std::string_view text);
std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace holdfast
