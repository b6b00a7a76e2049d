// Learns the revision of an etcd database while its bytes pass by once, in file order: so that a snapshot's manifest can
// name it although the snapshot is compressed on the fly and never stands on the disk as a database.
//
// How: the revision is in the last key of the last leaf of the tree of bucket "key". Pages come in any order, so for every
// page that could be part of the way there its last child or last key is kept (8 bytes a page: 2 MB for each GB), the root
// page whole; the way is followed at the end. Stale pages are kept too, but never reached. The first meta counts: in a
// stream it is the newer one (bbolt's Tx.WriteTo).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "formats/bbolt/layout.h"

namespace holdfast::mvcc {

class StreamObserver {
 public:
  // The next bytes, in pieces of any size, from the first byte of the file on. What follows the database is ignored.
  void Update(ByteSpan data);

  // As in mvcc::Inspection.
  struct Result {
    std::int64_t revision = 1;
    std::int64_t compact_revision = 0;
  };
  // nullopt if the stream was no etcd database that we understand.
  std::optional<Result> Finish() const;

 private:
  void OnPage(ByteSpan page);
  void OnTreePage(bbolt::PageId id, const bbolt::PageHeader& header);
  void Want(std::uint64_t offset, std::size_t bytes, bbolt::PageId page, int step);
  void Feed(std::uint64_t offset, ByteSpan data);
  void OnWanted(bbolt::PageId page, int step, std::uint64_t offset,
                const std::vector<std::uint8_t>& bytes);
  std::optional<std::int64_t> LastRevision(ByteSpan bucket_value) const;

  // Bytes that are needed from a page, and may come in several pieces.
  struct Wanted {
    bbolt::PageId page;
    int step;
    std::size_t size;
    std::vector<std::uint8_t> bytes;
  };

  std::optional<bbolt::Meta> meta_;
  bool failed_ = false;
  std::uint64_t position_ = 0;                   // of the first byte that is not yet looked at
  std::vector<std::uint8_t> partial_;            // the start of a page whose rest has not come
  std::multimap<std::uint64_t, Wanted> wanted_;  // by offset of the next missing byte
  // By page. A leaf: the main revision of its last key. A branch: minus its last child. 0: neither, or not seen.
  std::vector<std::int64_t> last_;
  std::vector<std::uint8_t> root_;  // the page of the root bucket
};

}  // namespace holdfast::mvcc
