// Reads an archive of pg_dump's custom format as it passes by, in little memory: the head (head.h), then the data blocks:
//
//   1 (data), id of its entry, chunks: length, bytes; ...; length 0
//   3 (large objects), id of its entry, for each: its oid, chunks as above; oid 0
//
// Source: PostgreSQL src/bin/pg_dump/pg_backup_custom.c.
#pragma once

#include <set>

#include "formats/pgdump/head.h"

namespace holdfast::pgdump {

// What is told while an archive is read. An error ends the reading.
class ArchiveEvents {
 public:
  virtual ~ArchiveEvents() = default;
  virtual Status OnHead(const Head& head) = 0;
  // A table's data: as `entry.copy_statement` takes it, unless the archive is compressed.
  virtual Status OnData(const Entry& entry, ByteSpan piece) = 0;
  virtual Status OnDataEnd(const Entry& entry) = 0;
};

class ArchiveReader {
 public:
  // `events` must outlive this.
  explicit ArchiveReader(ArchiveEvents& events) : events_(events) {}

  // Errors: kDataLoss, those of HeadParser and of `events`.
  Status Write(ByteSpan data);
  // kDataLoss unless it ended where an archive may end, with the data of all entries that have any.
  Status Finish();

 private:
  enum class Place { kBlock, kBlockId, kObject, kChunk, kBytes };

  Status OnHeadComplete();
  Status OnInteger(std::int32_t value);
  const Entry& entry() const { return parser_.head().entries[current_]; }

  ArchiveEvents& events_;
  HeadParser parser_;
  Place place_ = Place::kBlock;
  bool large_objects_ = false;
  std::uint8_t integer_[kIntegerBytes] = {};
  std::size_t integer_bytes_ = 0;  // of it have come
  std::uint32_t chunk_left_ = 0;
  std::size_t current_ = 0;         // index of the entry whose block it is
  std::set<std::int32_t> missing_;  // ids whose data has not come
};

}  // namespace holdfast::pgdump
