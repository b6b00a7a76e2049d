#include "stream/zip_directory.h"

#include <sys/stat.h>

#include <array>
#include <initializer_list>
#include <vector>

#include "base/endian.h"
#include "stream/decompress.h"
#include "stream/zip_format.h"

namespace holdfast {
namespace {

// The directory of one entry: its header with name, extra fields and comment.
constexpr std::uint64_t kDirectorySizeMax = kZipCentralSize + 3 * std::uint64_t{kZip16Max};
constexpr std::uint32_t kDosDirectory = 1 << 4;  // external attribute [4.4.15]

struct Directory {
  std::uint64_t entry_count, size, offset;
  std::uint64_t end;  // where the end records begin
};

Status ReadExactly(const RandomAccess& file, std::uint64_t offset, MutableByteSpan out) {
  ASSIGN_OR_RETURN(const std::size_t n, file.ReadAt(offset, out));
  if (n == out.size()) return OkStatus();
  return DataLossError("{}: truncated: {} bytes at offset {}, expected {}", file.path(), n, offset,
                       out.size());
}

template <std::size_t kSize>
StatusOr<std::array<std::uint8_t, kSize>> ReadRecord(const RandomAccess& file,
                                                     std::uint64_t offset) {
  std::array<std::uint8_t, kSize> record;
  RETURN_IF_ERROR(ReadExactly(file, offset, record));
  return record;
}

bool HasSignature(ByteSpan record, std::uint32_t signature) {
  return LoadLittle<std::uint32_t>(record.data()) == signature;
}

// What the zip64 end record [4.3.14] and its locator [4.3.15] say, if they stand before the end record, which says `narrow`.
// The locator decides, as for libarchive; what the end record says in 16 or 32 bits must then be the same, or its maximum.
StatusOr<Directory> WidenedDirectory(const RandomAccess& file, const Directory& narrow) {
  constexpr std::uint64_t kBothSize = kZip64EndSize + kZip64LocatorSize;
  if (narrow.end < kBothSize) return narrow;
  const std::uint64_t offset = narrow.end - kBothSize;
  ASSIGN_OR_RETURN(const auto records, ReadRecord<kBothSize>(file, offset));
  const ByteSpan locator = ByteSpan(records).subspan(kZip64EndSize);
  if (!HasSignature(locator, kZip64LocatorSignature)) return narrow;
  const Directory wide = {.entry_count = LoadLittle<std::uint64_t>(&records[32]),
                          .size = LoadLittle<std::uint64_t>(&records[40]),
                          .offset = LoadLittle<std::uint64_t>(&records[48]),
                          .end = offset};
  const auto agrees = [](std::uint64_t said, std::uint64_t max, std::uint64_t value) {
    return said == max || said == value;
  };
  if (!HasSignature(records, kZip64EndSignature) ||
      LoadLittle<std::uint64_t>(&locator[8]) != offset ||
      !agrees(narrow.entry_count, kZip16Max, wide.entry_count) ||
      !agrees(narrow.size, kZip32Max, wide.size) ||
      !agrees(narrow.offset, kZip32Max, wide.offset)) {
    return DataLossError("{}: the zip64 end records at {} do not fit", file.path(), offset);
  }
  return wide;
}

// From the end record [4.3.16], which is the last thing in the file.
StatusOr<Directory> FindDirectory(const RandomAccess& file) {
  ASSIGN_OR_RETURN(const std::uint64_t file_size, file.Size());
  if (file_size < kZipEndSize) {
    return DataLossError("{}: truncated: {} bytes are no zip", file.path(), file_size);
  }
  const std::uint64_t end_offset = file_size - kZipEndSize;
  ASSIGN_OR_RETURN(const auto end, ReadRecord<kZipEndSize>(file, end_offset));
  const auto comment_size = LoadLittle<std::uint16_t>(&end[20]);
  if (!HasSignature(end, kZipEndSignature) || comment_size != 0) {
    return DataLossError(
        "{}: no zip end record in its last {} bytes: truncated, or something follows", file.path(),
        kZipEndSize);
  }
  const Directory directory = {.entry_count = LoadLittle<std::uint16_t>(&end[10]),
                               .size = LoadLittle<std::uint32_t>(&end[12]),
                               .offset = LoadLittle<std::uint32_t>(&end[16]),
                               .end = end_offset};
  return WidenedDirectory(file, directory);
}

// The extra fields are a list of {id, size, bytes} [4.5.1]. Empty if none has that id, or the list breaks before it.
ByteSpan ExtraField(ByteSpan extra, std::uint16_t id) {
  while (extra.size() >= 4) {
    const auto size = LoadLittle<std::uint16_t>(&extra[2]);
    if (size > extra.size() - 4) break;
    if (LoadLittle<std::uint16_t>(extra.data()) == id) return extra.subspan(4, size);
    extra = extra.subspan(4 + std::size_t{size});
  }
  return {};
}

// Replaces the values that stand at their 32-bit maximum by those of the zip64 extra field [4.5.3], which holds these.
bool ResolveZip64(ByteSpan extra, std::initializer_list<std::uint64_t*> values) {
  ByteSpan field = ExtraField(extra, kZip64Extra);
  for (std::uint64_t* value : values) {
    if (*value != kZip32Max) continue;
    if (field.size() < sizeof *value) return false;
    *value = LoadLittle<std::uint64_t>(field.data());
    field = field.subspan(sizeof *value);
  }
  return true;
}

bool IsRegularFile(std::uint32_t external_attributes) {
  const std::uint32_t type = external_attributes >> 16 & S_IFMT;
  return (type == 0 || type == S_IFREG) && (external_attributes & kDosDirectory) == 0;
}

// The central header [4.3.12] is the whole directory.
StatusOr<ZipEntry> ParseCentralHeader(const RandomAccess& file, ByteSpan bytes) {
  if (!HasSignature(bytes, kZipCentralSignature)) {
    return DataLossError("{}: no central header where the end record says", file.path());
  }
  const std::size_t name_size = LoadLittle<std::uint16_t>(&bytes[28]);
  const std::size_t extra_size = LoadLittle<std::uint16_t>(&bytes[30]);
  const std::size_t comment_size = LoadLittle<std::uint16_t>(&bytes[32]);
  const std::size_t header_size = kZipCentralSize + name_size + extra_size + comment_size;
  if (bytes.size() != header_size) {
    return DataLossError("{}: central directory of {} bytes, but its one entry has {}", file.path(),
                         bytes.size(), header_size);
  }
  ZipEntry entry = {.name = std::string(TextOf(bytes.subspan(kZipCentralSize, name_size))),
                    .flags = LoadLittle<std::uint16_t>(&bytes[8]),
                    .method = LoadLittle<std::uint16_t>(&bytes[10]),
                    .crc = LoadLittle<std::uint32_t>(&bytes[16]),
                    .compressed_size = LoadLittle<std::uint32_t>(&bytes[20]),
                    .size = LoadLittle<std::uint32_t>(&bytes[24])};
  std::uint64_t local_offset = LoadLittle<std::uint32_t>(&bytes[42]);
  const ByteSpan extra = bytes.subspan(kZipCentralSize + name_size, extra_size);
  if (!ResolveZip64(extra, {&entry.size, &entry.compressed_size, &local_offset})) {
    return DataLossError("{}: the central header lacks its 64-bit sizes", file.path());
  }
  if (local_offset != 0) {
    return UnexpectedContentsError(file, "has {} bytes before its entry", local_offset);
  }
  if (!IsRegularFile(LoadLittle<std::uint32_t>(&bytes[38]))) {
    return UnexpectedContentsError(file, "holds {}, which is no regular file",
                                   QuotedZipName(entry.name));
  }
  return entry;
}

Status CheckAccepted(const RandomAccess& file, const ZipEntry& entry) {
  if (!IsZipEntryName(entry.name)) {
    return UnexpectedContentsError(file, "holds {}, which is no plain file name",
                                   QuotedZipName(entry.name));
  }
  if ((entry.flags & kZipEncrypted) != 0) return UnexpectedContentsError(file, "is encrypted");
  if (entry.method != kZipStored && entry.method != kZipDeflate) {
    return UnexpectedContentsError(file, "is compressed by method {}, expected deflate",
                                   entry.method);
  }
  return OkStatus();
}

// The local header [4.3.7] at the start of the file must say what the central one says, and the data must reach up to
// `directory_offset`. With a descriptor [4.3.9] its sizes and CRC may be zero.
Status CheckLocalHeader(const RandomAccess& file, const ZipEntry& central,
                        std::uint64_t directory_offset) {
  ASSIGN_OR_RETURN(const auto local, ReadRecord<kZipLocalSize>(file, 0));
  const auto flags = LoadLittle<std::uint16_t>(&local[6]);
  const auto crc = LoadLittle<std::uint32_t>(&local[14]);
  std::uint64_t compressed_size = LoadLittle<std::uint32_t>(&local[18]);
  std::uint64_t size = LoadLittle<std::uint32_t>(&local[22]);
  const std::size_t name_size = LoadLittle<std::uint16_t>(&local[26]);
  std::vector<std::uint8_t> tail(name_size + LoadLittle<std::uint16_t>(&local[28]));
  RETURN_IF_ERROR(ReadExactly(file, kZipLocalSize, tail));
  const ByteSpan extra = ByteSpan(tail).subspan(name_size);

  const bool has_descriptor = (central.flags & kZipHasDescriptor) != 0;
  const auto agrees = [has_descriptor](std::uint64_t here, std::uint64_t there) {
    return here == there || (has_descriptor && here == 0);
  };
  if (flags != central.flags || LoadLittle<std::uint16_t>(&local[8]) != central.method ||
      TextOf(ByteSpan(tail).first(name_size)) != central.name ||
      !ResolveZip64(extra, {&size, &compressed_size}) || !agrees(crc, central.crc) ||
      !agrees(size, central.size) || !agrees(compressed_size, central.compressed_size)) {
    return DataLossError("{}: local and central header of {} differ", file.path(),
                         QuotedZipName(central.name));
  }

  const std::uint64_t data_offset = kZipLocalSize + tail.size();
  if (directory_offset < data_offset || directory_offset - data_offset < central.compressed_size) {
    return DataLossError("{}: {} bytes of data do not fit before the central directory at {}",
                         file.path(), central.compressed_size, directory_offset);
  }
  // 12 or 20 bytes by the width of its sizes, and 4 for a signature that writers may leave out.
  const std::uint64_t gap = directory_offset - data_offset - central.compressed_size;
  const bool is_descriptor = gap == 12 || gap == 16 || gap == 20 || gap == 24;
  if (has_descriptor ? !is_descriptor : gap != 0) {
    return DataLossError("{}: {} bytes between the data and the central directory", file.path(),
                         gap);
  }
  return OkStatus();
}

}  // namespace

StatusOr<ZipEntry> ReadZipDirectory(const RandomAccess& file) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(file));
  if (directory.entry_count != 1) {
    return UnexpectedContentsError(file, "holds {} entries, expected exactly 1",
                                   directory.entry_count);
  }
  if (directory.offset > directory.end || directory.end - directory.offset != directory.size) {
    return DataLossError("{}: central directory of {} bytes at {} does not end at {}", file.path(),
                         directory.size, directory.offset, directory.end);
  }
  if (directory.size < kZipCentralSize || directory.size > kDirectorySizeMax) {
    return DataLossError("{}: central directory of {} bytes for one entry", file.path(),
                         directory.size);
  }
  std::vector<std::uint8_t> bytes(directory.size);
  RETURN_IF_ERROR(ReadExactly(file, directory.offset, bytes));
  ASSIGN_OR_RETURN(ZipEntry entry, ParseCentralHeader(file, bytes));
  RETURN_IF_ERROR(CheckAccepted(file, entry));
  RETURN_IF_ERROR(CheckLocalHeader(file, entry, directory.offset));
  return entry;
}

}  // namespace holdfast
