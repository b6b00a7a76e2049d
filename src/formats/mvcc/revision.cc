#include "formats/mvcc/revision.h"

#include "base/endian.h"
#include "formats/protobuf_wire.h"

namespace holdfast::mvcc {
namespace {
constexpr std::size_t kRevisionBytes = 17, kTombstoneBytes = 18;
}

std::optional<Revision> Revision::Parse(ByteSpan key) {
  if (key.size() != kRevisionBytes && key.size() != kTombstoneBytes) return std::nullopt;
  if (key[8] != '_' || (key.size() == kTombstoneBytes && key[17] != 't')) return std::nullopt;
  return Revision{.main = static_cast<std::int64_t>(LoadBig64(key.data())),
                  .sub = static_cast<std::int64_t>(LoadBig64(key.data() + 9)),
                  .tombstone = key.size() == kTombstoneBytes};
}

std::string Revision::Encode() const {
  std::uint8_t bytes[kTombstoneBytes];
  StoreBig64(bytes, static_cast<std::uint64_t>(main));
  bytes[8] = '_';
  StoreBig64(bytes + 9, static_cast<std::uint64_t>(sub));
  bytes[17] = 't';
  return std::string(TextOf({bytes, tombstone ? kTombstoneBytes : kRevisionBytes}));
}

std::optional<KeyValue> KeyValue::Parse(ByteSpan bytes) {
  KeyValue kv;
  ProtobufReader reader(bytes);
  while (const auto field = reader.Next()) {
    if (field->number == 1) kv.key = field->bytes;
    if (field->number == 5) kv.value = field->bytes;
    if (field->number == 6) kv.lease = static_cast<std::int64_t>(field->varint);
  }
  if (!reader.ok()) return std::nullopt;
  return kv;
}

}  // namespace holdfast::mvcc
