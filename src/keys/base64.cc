#include "keys/base64.h"

#include <array>
#include <cstdint>

namespace holdfast {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 255;

constexpr std::array<std::uint8_t, 256> MakeDigitTable() {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr auto kDigits = MakeDigitTable();

}  // namespace

std::string Base64Encode(ByteSpan bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (std::uint8_t byte : bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    bit_count += 8;
    for (; bit_count >= 6; bit_count -= 6) out.push_back(kAlphabet[bits >> (bit_count - 6) & 63]);
  }
  if (bit_count > 0) out.push_back(kAlphabet[bits << (6 - bit_count) & 63]);
  while (out.size() % 4 != 0) out.push_back('=');
  return out;
}

std::optional<std::string> Base64Decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned bit_count = 0, length = 0, padding = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r') continue;
    length = (length + 1) % 4;
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::uint8_t digit = kDigits[static_cast<std::uint8_t>(c)];
    if (digit == kNoDigit || padding > 0) return std::nullopt;
    bits = (bits << 6 | digit) & 0xffff;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    out.push_back(static_cast<char>(bits >> bit_count & 255));
  }
  // Whole groups of four, the last with at most two "=": a single left-over digit is then impossible.
  if (length != 0 || padding > 2) return std::nullopt;
  return out;
}

}  // namespace holdfast
