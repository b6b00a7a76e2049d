#include "formats/pgdump/copy_binary.h"

#include <algorithm>

namespace holdfast::pgdump {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\xff\r\n\0", 11);
constexpr std::size_t kStartBytes = kSignature.size() + 8;  // flags, length of the extension
constexpr std::size_t kExtensionMax = 1 * kMiB;
constexpr std::int16_t kFields = 9;
enum Field : std::size_t { kId, kName, kCreated, kDeleted, kCreate, kPrev, kLease, kValue, kOld };
// kine's names have at most 630 bytes.
constexpr std::size_t kNameMax = 1 * kMiB;

std::int64_t LoadSigned(std::string_view bytes) {
  std::uint64_t value = (bytes[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char c : bytes) value = value << 8 | static_cast<std::uint8_t>(c);
  return static_cast<std::int64_t>(value);
}

}  // namespace

bool KineCopyReader::Gather(ByteSpan& data, std::size_t size) {
  const std::size_t n = std::min(size - small_.size(), data.size());
  small_.append(TextOf(data.first(n)));
  data = data.subspan(n);
  return small_.size() == size;
}

Status KineCopyReader::Write(ByteSpan data) {
  while (!data.empty()) {
    switch (place_) {
      case Place::kSignature:
        if (!Gather(data, kStartBytes)) return OkStatus();
        field_left_ = static_cast<std::size_t>(LoadSigned(small_.substr(kStartBytes - 4)));
        if (!small_.starts_with(kSignature) || field_left_ > kExtensionMax)
          return DataLossError("not the start of a binary COPY");
        small_.clear();
        place_ = field_left_ > 0 ? Place::kExtension : Place::kRow;
        break;
      case Place::kExtension: {
        const std::size_t n = std::min(field_left_, data.size());
        data = data.subspan(n);
        field_left_ -= n;
        if (field_left_ == 0) place_ = Place::kRow;
        break;
      }
      case Place::kRow: {
        if (!Gather(data, 2)) return OkStatus();
        const std::int64_t fields = LoadSigned(small_);
        if (fields != kFields && fields != -1)
          return DataLossError("a row of {} fields in a kine table", fields);
        small_.clear();
        place_ = fields == -1 ? Place::kEnd : Place::kLength;
        field_ = 0;
        row_ = {};
        has_old_value_ = false;
        break;
      }
      case Place::kLength: {
        if (!Gather(data, 4)) return OkStatus();
        const auto length = static_cast<std::int32_t>(LoadSigned(small_));
        small_.clear();
        RETURN_IF_ERROR(OnLength(length));
        break;
      }
      case Place::kField:
        RETURN_IF_ERROR(OnFieldBytes(data));
        break;
      case Place::kEnd:
        return DataLossError("bytes after the end of a binary COPY");
    }
  }
  return OkStatus();
}

Status KineCopyReader::OnLength(std::int32_t length) {
  if (length < -1) return DataLossError("a field of {} bytes", length);
  const bool null = length == -1;
  field_size_ = field_left_ = null ? 0 : static_cast<std::size_t>(length);
  if (field_ == kOld) has_old_value_ = !null;
  if (field_ == kName ? field_size_ > kNameMax
                      : field_ < kValue && !null && length != 4 && length != 8) {
    return DataLossError("column {} of a kine table has {} bytes", field_ + 1, length);
  }
  if (field_left_ == 0) return NextField();
  place_ = Place::kField;
  return OkStatus();
}

Status KineCopyReader::OnFieldBytes(ByteSpan& data) {
  if (field_ < kValue) {
    return Gather(data, field_size_) ? OnSmallField() : OkStatus();
  }
  const ByteSpan piece = data.first(std::min(field_left_, data.size()));
  data = data.subspan(piece.size());
  field_left_ -= piece.size();
  RETURN_IF_ERROR(field_ == kValue ? events_.OnValue(piece) : events_.OnOldValue(piece));
  return field_left_ == 0 ? NextField() : OkStatus();
}

Status KineCopyReader::OnSmallField() {
  switch (field_) {
    case kName:
      row_.name = small_;
      break;
    case kId:
      row_.id = LoadSigned(small_);
      break;
    case kCreated:
      row_.created = LoadSigned(small_);
      break;
    case kDeleted:
      row_.deleted = LoadSigned(small_);
      break;
    case kCreate:
      row_.create_revision = LoadSigned(small_);
      break;
    case kPrev:
      row_.prev_revision = LoadSigned(small_);
      break;
    default:
      row_.lease = LoadSigned(small_);
      break;
  }
  small_.clear();
  return NextField();
}

Status KineCopyReader::NextField() {
  place_ = Place::kLength;
  ++field_;
  if (field_ == kValue) return events_.OnRow(row_);
  if (field_ < kFields) return OkStatus();
  place_ = Place::kRow;
  return events_.OnRowEnd(has_old_value_);
}

Status KineCopyReader::Finish() const {
  if (place_ != Place::kEnd) return DataLossError("the rows of a kine table have no end");
  return OkStatus();
}

}  // namespace holdfast::pgdump
