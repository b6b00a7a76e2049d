// A bbolt file opened for reading: its live meta, and its pages by number.
//
// Nothing is trusted: every page number, size and offset is checked against the file before it is used, so a truncated or
// hostile file gives a kDataLoss status that names page and reason, never a crash (bbolt's own tools die of a memory fault).
// Pages are read, not mapped, so memory is that of one page (kLogicalPageBytesMax at most) whatever the size of the file.
#pragma once

#include <vector>

#include "base/random_access.h"
#include "formats/bbolt/layout.h"
#include "formats/bbolt/node.h"

namespace holdfast::bbolt {

class Database {
 public:
  // `file` must outlive the database. Accepts any valid meta and picks the live one (the higher txid), as bbolt does.
  // kDataLoss: no valid meta, or the file is shorter than its pages.
  static StatusOr<Database> Open(const RandomAccess& file);

  const RandomAccess& file() const { return *file_; }
  const Meta& meta() const { return meta_; }
  std::size_t page_size() const { return meta_.page_size; }
  // Length of the database itself; the file may be longer (a snapshot's digest, bbolt's growth steps).
  std::uint64_t bytes() const { return meta_.high_water * meta_.page_size; }

 private:
  Database(const RandomAccess& file, Meta meta) : file_(&file), meta_(meta) {}

  const RandomAccess* file_;
  Meta meta_;
};

// Reads pages of one database, ahead when they are asked for in file order. For one thread; each walk has its own.
class PageReader {
 public:
  // `database` must outlive this.
  explicit PageReader(const Database& database) : database_(&database) {}

  // The whole logical page, valid until the next call. kDataLoss if the number is out of range, the header shows another
  // number, or its overflow pages reach beyond the database or are more than kLogicalPageBytesMax.
  StatusOr<ByteSpan> Read(PageId id);

 private:
  StatusOr<ByteSpan> Window(std::uint64_t offset, std::uint64_t bytes);

  const Database* database_;
  std::vector<std::uint8_t> window_;
  std::uint64_t window_offset_ = 0;
  std::uint64_t next_offset_ = 0;  // where the last page ended
  std::uint64_t ahead_bytes_ = 0;
};

}  // namespace holdfast::bbolt
