// PostgreSQL's binary COPY format, read in pieces of any size, and the rows of a kine table in it.
//
//   "PGCOPY\n\xff\r\n\0", flags, length of an extension, extension
//   row: number of fields (2 bytes); each field: length (4 bytes, -1: null), bytes
//   end: -1 in place of the number of fields
//
// All big endian. Source: the documentation of COPY, "Binary Format"; the fields' own forms (int4, int8, text, bytea) are
// those of the types' send functions and have been the same since PostgreSQL 7.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast::pgdump {

// The columns of a kine table in the order in which we copy them: what a reader must know before the values comes first.
// Source: k3s-io/kine pkg/drivers/pgsql/pgsql.go.
inline constexpr std::string_view kKineColumns =
    "id, name, created, deleted, create_revision, prev_revision, lease, value, old_value";

struct KineRow {
  std::int64_t id = 0, created = 0, deleted = 0, create_revision = 0, prev_revision = 0, lease = 0;
  std::string name;
};

// Of one row after the other: OnRow, OnValue and OnOldValue in pieces, OnRowEnd. Nulls are empty values
// and zeros; `has_old_value` tells them apart where it matters.
class KineRowEvents {
 public:
  virtual ~KineRowEvents() = default;
  virtual Status OnRow(const KineRow& row) = 0;
  virtual Status OnValue(ByteSpan piece) = 0;
  virtual Status OnOldValue(ByteSpan piece) = 0;
  virtual Status OnRowEnd(bool has_old_value) = 0;
};

class KineCopyReader {
 public:
  // `events` must outlive this.
  explicit KineCopyReader(KineRowEvents& events) : events_(events) {}

  // kDataLoss if it is no binary COPY of kine's columns; else errors of `events`.
  Status Write(ByteSpan data);
  // kDataLoss unless the end of the rows has come.
  Status Finish() const;

 private:
  enum class Place { kSignature, kExtension, kRow, kLength, kField, kEnd };

  // Takes what is needed to make `small_` `size` bytes long; true if it is.
  bool Gather(ByteSpan& data, std::size_t size);
  Status OnLength(std::int32_t length);
  Status OnFieldBytes(ByteSpan& data);
  Status OnSmallField();
  Status NextField();

  KineRowEvents& events_;
  Place place_ = Place::kSignature;
  std::string small_;           // what has come of the part that is being read
  std::size_t field_ = 0;       // which one
  std::size_t field_left_ = 0;  // bytes of it that are to come
  std::size_t field_size_ = 0;
  bool has_old_value_ = false;
  KineRow row_;
};

}  // namespace holdfast::pgdump
