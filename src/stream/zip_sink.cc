#include "stream/zip_sink.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <vector>

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "base/endian.h"

namespace holdfast {
namespace {

constexpr std::uint32_t kLevel = 2;
// ISA-L ends a deflate block when this is full; the small one gives the best ratio on etcd's pages.
constexpr std::uint32_t kLevelBufferSize = ISAL_DEF_LVL2_SMALL;
constexpr std::size_t kOutputBufferSize = 128 * kKiB;
// avail_in has 32 bits.
constexpr std::size_t kPieceMax = 1 * kGiB;

constexpr std::uint16_t kVersionDeflate = 20, kVersionZip64 = 45;  // [4.4.3]
constexpr std::uint16_t kMadeOnUnix = 3 << 8;                      // [4.4.2]

// A record of the format, field by field.
class Record {
 public:
  template <std::unsigned_integral T>
  Record& Add(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    StoreLittle(bytes_.data() + at, value);
    return *this;
  }
  Record& Add(ByteSpan bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteSpan bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::uint8_t> bytes_;
};

// [4.4.6]: local time without a zone, two seconds exact, 1980 to 2107. We write UTC, as Go does for a UTC time.
struct DosTime {
  std::uint16_t date, time;
};
DosTime DosTimeOf(absl::Time instant) {
  const auto civil = absl::ToCivilSecond(instant, absl::UTCTimeZone());
  const auto year = std::clamp<std::int64_t>(civil.year(), 1980, 2107) - 1980;
  return {
      static_cast<std::uint16_t>(year << 9 | civil.month() << 5 | civil.day()),
      static_cast<std::uint16_t>(civil.hour() << 11 | civil.minute() << 5 | civil.second() / 2)};
}

// The local and the central header hold the same [Info-ZIP, extrafld.txt].
void AddTimeExtra(Record& extra, absl::Time instant) {
  constexpr std::uint8_t kHasModificationTime = 1;
  extra.Add(kZipTimeExtra)
      .Add(std::uint16_t{5})
      .Add(kHasModificationTime)
      .Add(static_cast<std::uint32_t>(absl::ToUnixSeconds(instant)));
}

void AddZip64Extra(Record& extra, std::uint64_t size, std::uint64_t compressed_size) {
  extra.Add(kZip64Extra).Add(std::uint16_t{16}).Add(size).Add(compressed_size);
}

std::uint16_t FlagsFor(std::string_view name) {
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return c >= 0; });
  return ascii ? kZipHasDescriptor : kZipHasDescriptor | kZipNameIsUtf8;
}

}  // namespace

struct ZipSink::Deflater {
  isal_zstream stream;
  std::array<std::uint8_t, kLevelBufferSize> level_buffer;
  std::array<std::uint8_t, kOutputBufferSize> output;

  Deflater() {
    isal_deflate_init(&stream);  // raw deflate, without a wrapper
    stream.level = kLevel;
    stream.level_buf = level_buffer.data();
    stream.level_buf_size = kLevelBufferSize;
    EmptyOutput();
  }
  void EmptyOutput() {
    stream.next_out = output.data();
    stream.avail_out = kOutputBufferSize;
  }
  ByteSpan deflated() const { return ByteSpan(output).first(kOutputBufferSize - stream.avail_out); }
  bool ended() const { return stream.internal_state.state == ZSTATE_END; }
};

ZipSink::ZipSink(Sink& out, ZipSinkOptions options)
    : out_(out), options_(std::move(options)), deflater_(std::make_unique<Deflater>()) {}
ZipSink::~ZipSink() = default;

Status ZipSink::Write(ByteSpan data) {
  RETURN_IF_ERROR(Begin());
  while (!data.empty()) {
    const ByteSpan piece = data.first(std::min(data.size(), kPieceMax));
    crc_ = crc32_gzip_refl(crc_, piece.data(), piece.size());
    size_ += piece.size();
    RETURN_IF_ERROR(Deflate(piece, /*last=*/false));
    data = data.subspan(piece.size());
  }
  return OkStatus();
}

// The local header [4.3.7].
Status ZipSink::Begin() {
  if (begun_) return OkStatus();
  begun_ = true;
  const std::string& name = options_.entry_name;
  if (!IsZipEntryName(name)) {
    return InvalidArgumentError("zip entry name {} is no plain file name", QuotedZipName(name));
  }

  const bool zip64 = NeedsZip64(options_.uncompressed_size_max);
  const DosTime modified = DosTimeOf(options_.modified_at);
  const std::uint32_t size_field = zip64 ? kZip32Max : 0;
  Record extra;
  AddTimeExtra(extra, options_.modified_at);
  if (zip64) AddZip64Extra(extra, 0, 0);

  Record header;
  header.Add(kZipLocalSignature)
      .Add(zip64 ? kVersionZip64 : kVersionDeflate)
      .Add(FlagsFor(name))
      .Add(kZipDeflate)
      .Add(modified.time)
      .Add(modified.date)
      .Add(std::uint32_t{0})  // CRC
      .Add(size_field)        // compressed
      .Add(size_field)        // uncompressed
      .Add(CheckedCast<std::uint16_t>(name.size()))
      .Add(CheckedCast<std::uint16_t>(extra.size()))
      .Add(BytesOf(name))
      .Add(extra.bytes());
  return WriteOut(header.bytes());
}

Status ZipSink::Deflate(ByteSpan data, bool last) {
  isal_zstream& stream = deflater_->stream;
  // The library's declaration lacks a const; it does not write.
  stream.next_in = const_cast<std::uint8_t*>(data.data());
  stream.avail_in = CheckedCast<std::uint32_t>(data.size());
  stream.end_of_stream = last ? 1 : 0;
  while (true) {
    CHECK(isal_deflate(&stream) == COMP_OK);
    if (last && deflater_->ended()) return FlushDeflated();
    if (!last && stream.avail_in == 0 && stream.avail_out > 0) return OkStatus();
    RETURN_IF_ERROR(FlushDeflated());
  }
}

Status ZipSink::FlushDeflated() {
  const ByteSpan deflated = deflater_->deflated();
  RETURN_IF_ERROR(WriteOut(deflated));
  compressed_size_ += deflated.size();
  deflater_->EmptyOutput();
  return OkStatus();
}

Status ZipSink::WriteOut(ByteSpan bytes) {
  written_ += bytes.size();
  return out_.Write(bytes);
}

Status ZipSink::Finish() {
  RETURN_IF_ERROR(Begin());
  RETURN_IF_ERROR(Deflate({}, /*last=*/true));
  RETURN_IF_ERROR(WriteDescriptor());
  const std::uint64_t directory_offset = written_;
  RETURN_IF_ERROR(WriteCentralHeader());
  RETURN_IF_ERROR(WriteEnd(directory_offset));
  return out_.Finish();
}

bool ZipSink::HasZip64Sizes() const {
  return NeedsZip64(options_.uncompressed_size_max) || NeedsZip64(size_) ||
         NeedsZip64(compressed_size_);
}

// [4.3.9]
Status ZipSink::WriteDescriptor() {
  Record descriptor;
  descriptor.Add(kZipDescriptorSignature).Add(crc_);
  if (HasZip64Sizes()) {
    descriptor.Add(compressed_size_).Add(size_);
  } else {
    descriptor.Add(CheckedCast<std::uint32_t>(compressed_size_))
        .Add(CheckedCast<std::uint32_t>(size_));
  }
  return WriteOut(descriptor.bytes());
}

// [4.3.12]
Status ZipSink::WriteCentralHeader() {
  const std::string& name = options_.entry_name;
  const bool zip64 = HasZip64Sizes();
  const std::uint16_t version = zip64 ? kVersionZip64 : kVersionDeflate;
  const DosTime modified = DosTimeOf(options_.modified_at);
  Record extra;
  AddTimeExtra(extra, options_.modified_at);
  if (zip64) AddZip64Extra(extra, size_, compressed_size_);

  Record header;
  header.Add(kZipCentralSignature)
      .Add(static_cast<std::uint16_t>(kMadeOnUnix | version))
      .Add(version)
      .Add(FlagsFor(name))
      .Add(kZipDeflate)
      .Add(modified.time)
      .Add(modified.date)
      .Add(crc_)
      .Add(zip64 ? kZip32Max : CheckedCast<std::uint32_t>(compressed_size_))
      .Add(zip64 ? kZip32Max : CheckedCast<std::uint32_t>(size_))
      .Add(CheckedCast<std::uint16_t>(name.size()))
      .Add(CheckedCast<std::uint16_t>(extra.size()))
      .Add(std::uint16_t{0})                           // comment length
      .Add(std::uint16_t{0})                           // disk
      .Add(std::uint16_t{0})                           // internal attributes
      .Add((S_IFREG | (options_.mode & 07777)) << 16)  // external attributes
      .Add(std::uint32_t{0})                           // offset of the local header
      .Add(BytesOf(name))
      .Add(extra.bytes());
  return WriteOut(header.bytes());
}

// With the zip64 records before it if the directory begins where 32 bits cannot say.
Status ZipSink::WriteEnd(std::uint64_t directory_offset) {
  const std::uint64_t end_offset = written_;
  const std::uint64_t directory_size = end_offset - directory_offset;
  const bool zip64 = NeedsZip64(directory_offset);
  Record end;
  if (zip64) {
    end.Add(kZip64EndSignature)                  // [4.3.14]
        .Add(std::uint64_t{kZip64EndSize - 12})  // what follows this field
        .Add(static_cast<std::uint16_t>(kMadeOnUnix | kVersionZip64))
        .Add(kVersionZip64)
        .Add(std::uint32_t{0})  // this disk
        .Add(std::uint32_t{0})  // the directory's disk
        .Add(std::uint64_t{1})  // entries on this disk
        .Add(std::uint64_t{1})  // entries
        .Add(directory_size)
        .Add(directory_offset);
    end.Add(kZip64LocatorSignature)  // [4.3.15]
        .Add(std::uint32_t{0})       // the disk of the record above
        .Add(end_offset)
        .Add(std::uint32_t{1});  // disks
  }
  end.Add(kZipEndSignature)   // [4.3.16]
      .Add(std::uint16_t{0})  // this disk
      .Add(std::uint16_t{0})  // the directory's disk
      .Add(std::uint16_t{1})  // entries on this disk
      .Add(std::uint16_t{1})  // entries
      .Add(CheckedCast<std::uint32_t>(directory_size))
      .Add(zip64 ? kZip32Max : CheckedCast<std::uint32_t>(directory_offset))
      .Add(std::uint16_t{0});  // comment length
  return WriteOut(end.bytes());
}

}  // namespace holdfast
