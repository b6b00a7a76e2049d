#include "stream/compression.h"

#include <algorithm>
#include <array>

namespace holdfast {
namespace {

struct Row {
  Compression compression;
  std::string_view name, suffix;
  std::array<std::uint8_t, 4> signature;  // all zero: none
};
// Signatures: APPNOTE.TXT 4.3.7 (local file header), RFC 8878 3.1.1.
constexpr std::array<Row, 3> kRows = {
    {{Compression::kNone, "none", "", {}},
     {Compression::kZip, "zip", ".zip", {'P', 'K', 3, 4}},
     {Compression::kZstd, "zstd", ".zst", {0x28, 0xb5, 0x2f, 0xfd}}}};

const Row& RowOf(Compression compression) { return kRows[static_cast<std::size_t>(compression)]; }

}  // namespace

std::string_view CompressionName(Compression compression) { return RowOf(compression).name; }

std::optional<Compression> ParseCompression(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.compression;
  }
  return std::nullopt;
}

std::string_view CompressionSuffix(Compression compression) { return RowOf(compression).suffix; }

Compression CompressionOfName(std::string_view file_name) {
  for (const Row& row : kRows) {
    if (!row.suffix.empty() && file_name.ends_with(row.suffix)) return row.compression;
  }
  return Compression::kNone;
}

std::string_view WithoutCompressionSuffix(std::string_view file_name) {
  file_name.remove_suffix(CompressionSuffix(CompressionOfName(file_name)).size());
  return file_name;
}

Compression SniffCompression(ByteSpan first_bytes) {
  for (const Row& row : kRows) {
    if (row.signature[0] != 0 && first_bytes.size() >= row.signature.size() &&
        std::equal(row.signature.begin(), row.signature.end(), first_bytes.begin())) {
      return row.compression;
    }
  }
  return Compression::kNone;
}

}  // namespace holdfast
