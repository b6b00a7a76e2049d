#include "formats/bbolt/database.h"

#include <algorithm>

namespace holdfast::bbolt {
namespace {

constexpr std::uint64_t kReadAheadMax = 256 * kKiB;

bool IsPageSize(std::uint64_t size) {
  return size >= kPageSizeMin && size <= kPageSizeMax && (size & (size - 1)) == 0;
}

// The meta in the page at `offset`; nullopt if there is no valid one.
StatusOr<std::optional<Meta>> MetaAt(const RandomAccess& file, std::uint64_t offset) {
  std::uint8_t head[kPageHeaderBytes + kMetaBytes];
  ASSIGN_OR_RETURN(const std::size_t n, file.ReadAt(offset, head));
  if (n < sizeof head) return std::optional<Meta>();
  std::optional<Meta> meta = Meta::Load(head + kPageHeaderBytes);
  if (meta && !IsPageSize(meta->page_size)) meta.reset();
  return meta;
}

// As bbolt finds it: meta 0 tells the page size; if it is broken, the second meta is searched at every possible size.
StatusOr<Meta> LiveMeta(const RandomAccess& file) {
  ASSIGN_OR_RETURN(const auto first, MetaAt(file, 0));
  if (first) {
    ASSIGN_OR_RETURN(const auto second, MetaAt(file, first->page_size));
    const bool second_is_newer =
        second && second->page_size == first->page_size && second->txid > first->txid;
    return second_is_newer ? *second : *first;
  }
  for (std::uint64_t size = kPageSizeMin; size <= kPageSizeMax; size *= 2) {
    ASSIGN_OR_RETURN(const auto second, MetaAt(file, size));
    if (second && second->page_size == size) return *second;
  }
  return DataLossError("{} is not an etcd database: no valid bbolt meta page", file.path());
}

}  // namespace

StatusOr<Database> Database::Open(const RandomAccess& file) {
  ASSIGN_OR_RETURN(const Meta meta, LiveMeta(file));
  ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  if (meta.high_water < 3 || meta.high_water > size / meta.page_size) {
    return DataLossError(
        "{} is truncated or damaged: it has {} bytes, its meta page counts {} pages of {}",
        file.path(), size, meta.high_water, meta.page_size);
  }
  return Database(file, meta);
}

StatusOr<ByteSpan> PageReader::Read(PageId id) {
  const std::uint64_t page_size = database_->page_size();
  const PageId high_water = database_->meta().high_water;
  if (id < 2 || id >= high_water) {
    return DataLossError("page number {} is outside the database's {} pages", id, high_water);
  }
  const std::uint64_t offset = id * page_size;
  ASSIGN_OR_RETURN(ByteSpan page, Window(offset, page_size));
  const PageHeader header = PageHeader::Load(page.data());
  if (header.id != id) {
    return DataLossError("page {} at offset {} says it is page {}", id, offset, header.id);
  }
  if (header.overflow > high_water - id - 1) {
    return DataLossError("page {} claims {} overflow pages, beyond the database's {} pages", id,
                         header.overflow, high_water);
  }
  const std::uint64_t bytes = (std::uint64_t{header.overflow} + 1) * page_size;
  if (bytes > kLogicalPageBytesMax) {
    return DataLossError("page {} claims {} bytes, more than {}", id, bytes, kLogicalPageBytesMax);
  }
  if (header.overflow > 0) {
    ASSIGN_OR_RETURN(page, Window(offset, bytes));
  }
  next_offset_ = offset + bytes;
  return page;
}

StatusOr<ByteSpan> PageReader::Window(std::uint64_t offset, std::uint64_t bytes) {
  const bool inside = offset >= window_offset_ && offset + bytes <= window_offset_ + window_.size();
  if (!inside) {
    // In file order: twice as much ahead as the last time. Else only what was asked for.
    ahead_bytes_ =
        offset == next_offset_ ? std::min(std::max(ahead_bytes_ * 2, 4 * bytes), kReadAheadMax) : 0;
    const std::uint64_t wanted =
        std::min(std::max(bytes, ahead_bytes_), database_->bytes() - offset);
    window_.resize(wanted);
    window_offset_ = offset;
    ASSIGN_OR_RETURN(const std::size_t n, database_->file().ReadAt(offset, window_));
    if (n < wanted) {
      return DataLossError("{} ends at offset {}, in the middle of a page",
                           database_->file().path(), offset + n);
    }
  }
  return ByteSpan(window_).subspan(offset - window_offset_, bytes);
}

}  // namespace holdfast::bbolt
