#include "formats/pgdump/archive.h"

#include <algorithm>

namespace holdfast::pgdump {
namespace {

constexpr std::uint8_t kDataBlock = 1, kLargeObjectsBlock = 3;

}  // namespace

Status ArchiveReader::Write(ByteSpan data) {
  if (!parser_.complete()) {
    ASSIGN_OR_RETURN(const std::size_t taken, parser_.Take(data));
    data = data.subspan(taken);
    if (!parser_.complete()) return OkStatus();
    RETURN_IF_ERROR(OnHeadComplete());
  }
  while (!data.empty()) {
    if (place_ == Place::kBytes) {
      const ByteSpan piece = data.first(std::min<std::size_t>(chunk_left_, data.size()));
      data = data.subspan(piece.size());
      chunk_left_ -= static_cast<std::uint32_t>(piece.size());
      if (chunk_left_ == 0) place_ = Place::kChunk;
      if (!large_objects_) RETURN_IF_ERROR(events_.OnData(entry(), piece));
    } else if (place_ == Place::kBlock) {
      if (data[0] != kDataBlock && data[0] != kLargeObjectsBlock)
        return DataLossError("a data block of the unknown type {}", data[0]);
      large_objects_ = data[0] == kLargeObjectsBlock;
      place_ = Place::kBlockId;
      data = data.subspan(1);
    } else {
      integer_[integer_bytes_++] = data[0];
      data = data.subspan(1);
      if (integer_bytes_ < kIntegerBytes) continue;
      integer_bytes_ = 0;
      ASSIGN_OR_RETURN(const std::int32_t value, LoadInteger(integer_));
      RETURN_IF_ERROR(OnInteger(value));
    }
  }
  return OkStatus();
}

Status ArchiveReader::OnHeadComplete() {
  for (const Entry& entry : parser_.head().entries) {
    if (entry.has_data) missing_.insert(entry.id);
  }
  return events_.OnHead(parser_.head());
}

Status ArchiveReader::OnInteger(std::int32_t value) {
  switch (place_) {
    case Place::kBlockId: {
      if (missing_.erase(value) == 0)
        return DataLossError("a data block of entry {}, which has none or had it before", value);
      const auto& entries = parser_.head().entries;
      current_ = static_cast<std::size_t>(
          std::find_if(entries.begin(), entries.end(),
                       [&](const Entry& entry) { return entry.id == value; }) -
          entries.begin());
      place_ = large_objects_ ? Place::kObject : Place::kChunk;
      return OkStatus();
    }
    case Place::kObject:
      place_ = value == 0 ? Place::kBlock : Place::kChunk;
      return OkStatus();
    default:  // the length of a chunk
      if (value < 0) return DataLossError("a chunk of {} bytes", value);
      chunk_left_ = static_cast<std::uint32_t>(value);
      if (value > 0) {
        place_ = Place::kBytes;
        return OkStatus();
      }
      place_ = large_objects_ ? Place::kObject : Place::kBlock;
      return large_objects_ ? OkStatus() : events_.OnDataEnd(entry());
  }
}

Status ArchiveReader::Finish() {
  if (!parser_.complete()) return DataLossError("the archive ends within its table of contents");
  if (place_ != Place::kBlock) return DataLossError("the archive ends within a data block");
  if (!missing_.empty()) {
    return DataLossError("the archive ends without the data of {} entries", missing_.size());
  }
  return OkStatus();
}

}  // namespace holdfast::pgdump
