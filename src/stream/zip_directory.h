// Finds the one entry of a zip file and refuses every other layout, before any byte is decompressed.
//
// Strict on purpose: each byte of the file belongs to the one entry, its central header or the end records, and the two
// headers of the entry say the same. So nothing is in the file that one reader sees and another does not: no second entry
// between the lines, nothing before or after, no comment on the file.
#pragma once

#include <string>

#include "base/random_access.h"

namespace holdfast {

// What its central header says.
struct ZipEntry {
  std::string name;  // a plain file name
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;  // uncompressed, as claimed
};

// Errors as OpenDecompressed().
StatusOr<ZipEntry> ReadZipDirectory(const RandomAccess& file);

}  // namespace holdfast
