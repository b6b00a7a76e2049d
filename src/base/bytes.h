// Views of bytes, sizes, and casts that check. Vocabulary only: no I/O, nothing is owned here.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast {

using ByteSpan = std::span<const std::uint8_t>;
using MutableByteSpan = std::span<std::uint8_t>;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

inline ByteSpan BytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view TextOf(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Converts between integer types; a value that does not fit is a bug of ours.
template <std::integral To, std::integral From>
constexpr To CheckedCast(From value) {
  CHECK(std::in_range<To>(value));
  return static_cast<To>(value);
}

// Lower-case hexadecimal.
std::string HexOf(ByteSpan bytes);

}  // namespace holdfast
