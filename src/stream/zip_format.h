// The records of a zip file as far as we write and read them, for zip_sink and zip_directory. Integers are little-endian.
// Source: PKWARE's APPNOTE.TXT 6.3.10; its sections stand in brackets, here and there.
//
//   local header, name, extra | data | descriptor | central header, name, extra | [zip64 end, zip64 locator] | end
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/path.h"

namespace holdfast {

inline constexpr std::uint32_t kZipLocalSignature = 0x04034b50;       // [4.3.7]
inline constexpr std::uint32_t kZipDescriptorSignature = 0x08074b50;  // [4.3.9.3]
inline constexpr std::uint32_t kZipCentralSignature = 0x02014b50;     // [4.3.12]
inline constexpr std::uint32_t kZip64EndSignature = 0x06064b50;       // [4.3.14]
inline constexpr std::uint32_t kZip64LocatorSignature = 0x07064b50;   // [4.3.15]
inline constexpr std::uint32_t kZipEndSignature = 0x06054b50;         // [4.3.16]

// Without the parts of variable length.
inline constexpr std::size_t kZipLocalSize = 30;
inline constexpr std::size_t kZipCentralSize = 46;
inline constexpr std::size_t kZip64EndSize = 56;
inline constexpr std::size_t kZip64LocatorSize = 20;
inline constexpr std::size_t kZipEndSize = 22;

// General purpose bits [4.4.4].
inline constexpr std::uint16_t kZipEncrypted = 1 << 0;
inline constexpr std::uint16_t kZipHasDescriptor = 1 << 3;  // sizes and CRC follow the data
inline constexpr std::uint16_t kZipNameIsUtf8 = 1 << 11;

// Methods [4.4.5].
inline constexpr std::uint16_t kZipStored = 0;
inline constexpr std::uint16_t kZipDeflate = 8;

// Extra fields: 64-bit sizes [4.5.3], and Info-ZIP's extended timestamp (proginfo/extrafld.txt of Info-ZIP).
inline constexpr std::uint16_t kZip64Extra = 0x0001;
inline constexpr std::uint16_t kZipTimeExtra = 0x5455;  // "UT"

// In a 16- or 32-bit field: the value stands in the zip64 records [4.4.1.4].
inline constexpr std::uint16_t kZip16Max = 0xffff;
inline constexpr std::uint32_t kZip32Max = 0xffffffff;

// Names of the one entry that we write and accept: a file in no directory, for Windows' separator too.
inline bool IsZipEntryName(std::string_view name) {
  return IsPlainFileName(name) && name.find('\\') == std::string_view::npos &&
         name.size() <= kZip16Max;
}

// A name for a message: its first 255 bytes in quotes, with all but printable ASCII as \xNN. (fmt's {:?} may abort on bytes
// that are no UTF-8.)
inline std::string QuotedZipName(std::string_view name) {
  std::string text = "\"";
  for (const char c : name.substr(0, 255)) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      text.push_back(c);
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text + "\"";
}

}  // namespace holdfast
