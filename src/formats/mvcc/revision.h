// Keys and values of etcd's `key` bucket: the log of all changes, ordered by revision.
// Source: etcd server/storage/mvcc/revision.go and api/mvccpb/kv.proto (v3.4 to v3.6; the same in all).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace holdfast::mvcc {

// The key of one log entry: 17 bytes, big-endian main, '_', big-endian sub; an 18th byte 't' marks a deletion.
struct Revision {
  std::int64_t main = 0;  // the store's revision: one a transaction, the first write is 2
  std::int64_t sub = 0;   // operation inside it
  bool tombstone = false;

  static std::optional<Revision> Parse(ByteSpan key);
  std::string Encode() const;
};

// The fields of a stored KeyValue that we look at; the spans point into the value.
struct KeyValue {
  ByteSpan key, value;
  std::int64_t lease = 0;

  // nullopt if the bytes are not such a message.
  static std::optional<KeyValue> Parse(ByteSpan bytes);
};

}  // namespace holdfast::mvcc
