// How a snapshot file is compressed: by name when we write, by its first bytes when we read.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

enum class Compression { kNone, kZip, kZstd };

// "none", "zip", "zstd": the words of --etcd-snapshot-compression.
std::string_view CompressionName(Compression compression);
std::optional<Compression> ParseCompression(std::string_view name);

// "", ".zip", ".zst": what the file name ends with.
std::string_view CompressionSuffix(Compression compression);

// What the name ends with says. Only for listings: reading looks at the bytes.
Compression CompressionOfName(std::string_view file_name);
// The name without its compression suffix.
std::string_view WithoutCompressionSuffix(std::string_view file_name);

// From the first bytes of a file (4 are enough): zip's and zstd's signatures, else kNone.
Compression SniffCompression(ByteSpan first_bytes);

}  // namespace holdfast
