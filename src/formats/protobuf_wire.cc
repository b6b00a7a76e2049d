#include "formats/protobuf_wire.h"

namespace holdfast {
namespace {
enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };
}

void ProtobufWriter::Raw(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
  out_.push_back(static_cast<char>(value));
}

ProtobufWriter& ProtobufWriter::Varint(std::uint32_t field, std::uint64_t value) {
  Raw(std::uint64_t{field} << 3 | kVarint);
  Raw(value);
  return *this;
}

ProtobufWriter& ProtobufWriter::Bytes(std::uint32_t field, std::string_view value) {
  Raw(std::uint64_t{field} << 3 | kLengthDelimited);
  Raw(value.size());
  out_.append(value);
  return *this;
}

std::optional<std::uint64_t> ProtobufReader::TakeVarint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const std::uint8_t byte = rest_[0];
    rest_ = rest_.subspan(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  ok_ = false;
  return std::nullopt;
}

std::optional<std::uint64_t> ProtobufReader::TakeFixed(std::size_t bytes) {
  if (rest_.size() < bytes) {
    ok_ = false;
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{rest_[i]} << (8 * i);
  rest_ = rest_.subspan(bytes);
  return value;
}

std::optional<ProtobufReader::Field> ProtobufReader::Next() {
  if (rest_.empty() || !ok_) return std::nullopt;
  const auto tag = TakeVarint();
  if (!tag) return std::nullopt;
  Field field;
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  std::optional<std::uint64_t> value;
  switch (*tag & 7) {
    case kVarint:
      value = TakeVarint();
      break;
    case kFixed64:
      value = TakeFixed(8);
      break;
    case kFixed32:
      value = TakeFixed(4);
      break;
    case kLengthDelimited:
      value = TakeVarint();
      if (value && *value > rest_.size()) value.reset();
      if (value) {
        field.bytes = rest_.first(*value);
        rest_ = rest_.subspan(*value);
      }
      break;
    default:
      break;
  }
  if (!value || field.number == 0) {
    ok_ = false;
    return std::nullopt;
  }
  field.varint = *value;
  return field;
}

}  // namespace holdfast
