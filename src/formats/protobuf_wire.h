// Protocol buffers by hand, for the few messages inside etcd's files. Writing is exact (etcd's old encoder writes zero
// fields, which the library would drop); reading looks only for the fields that matter.
// Source: protobuf.dev/programming-guides/encoding.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"

namespace holdfast {

// Appends fields in call order.
class ProtobufWriter {
 public:
  ProtobufWriter& Varint(std::uint32_t field, std::uint64_t value);
  ProtobufWriter& Bytes(std::uint32_t field, std::string_view value);
  const std::string& text() const { return out_; }

 private:
  void Raw(std::uint64_t value);
  std::string out_;
};

// Steps through the fields of a message. Groups are not read (etcd has none).
class ProtobufReader {
 public:
  struct Field {
    std::uint32_t number = 0;
    std::uint64_t varint = 0;  // wire types 0, 1 and 5
    ByteSpan bytes;            // wire type 2
  };

  explicit ProtobufReader(ByteSpan message) : rest_(message) {}

  // The next field; nullopt at the end or when the bytes are no message: see ok().
  std::optional<Field> Next();
  bool ok() const { return ok_; }

 private:
  std::optional<std::uint64_t> TakeVarint();
  std::optional<std::uint64_t> TakeFixed(std::size_t bytes);

  ByteSpan rest_;
  bool ok_ = true;
};

}  // namespace holdfast
