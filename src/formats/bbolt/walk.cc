#include "formats/bbolt/walk.h"

#include <algorithm>
#include <optional>

#include "base/endian.h"

namespace holdfast::bbolt {
namespace {

constexpr int kDepthMax = 64;

int Compare(ByteSpan a, ByteSpan b) { return TextOf(a).compare(TextOf(b)); }

class Walker {
 public:
  Walker(const Database& database, Visitor& visitor, std::stop_token stop)
      : database_(database),
        visitor_(visitor),
        stop_(std::move(stop)),
        pages_(database),
        used_(database.meta().high_water) {
    used_[0] = used_[1] = true;  // the metas
  }

  Status Run() {
    RETURN_IF_ERROR(Page(database_.meta().root, Level::kRoot, 0, {}));
    return CheckFreelist();
  }

 private:
  // What the entries of a leaf are: names of top-level buckets, their entries, or (unreported) deeper ones.
  enum class Level { kRoot, kBucket, kNested };

  // The keys a subtree may hold: from `low` (if set) up to but not including `high` (if set).
  struct Range {
    std::optional<ByteSpan> low, high;
  };

  Status Page(PageId id, Level level, int depth, const Range& range) {
    if (depth > kDepthMax)
      return DataLossError("page {}: the tree is deeper than {} levels", id, kDepthMax);
    if (stop_.stop_requested()) return CancelledError("stopped");
    ASSIGN_OR_RETURN(const ByteSpan page, pages_.Read(id));
    RETURN_IF_ERROR(MarkUsed(id, PageHeader::Load(page.data()).overflow));
    ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
    RETURN_IF_ERROR(CheckOrder(view, range), "page {}", id);
    if (view.leaf()) return Leaf(page, view, level, depth);
    if (view.size() == 0) return DataLossError("page {}: a branch without children", id);
    // The reader's buffer is reused below: keep what is needed of a branch.
    const Node node = Node::Copy(view);
    for (std::size_t i = 0; i < node.elements.size(); ++i) {
      Range child{.low = BytesOf(node.elements[i].key), .high = range.high};
      if (i + 1 < node.elements.size()) child.high = BytesOf(node.elements[i + 1].key);
      RETURN_IF_ERROR(Page(node.elements[i].child, level, depth + 1, child));
    }
    return OkStatus();
  }

  Status Leaf(ByteSpan page, const NodeView& view, Level level, int depth) {
    bool has_buckets = level == Level::kRoot;
    for (std::size_t i = 0; i < view.size() && !has_buckets; ++i) has_buckets = view.is_bucket(i);
    if (!has_buckets) {
      for (std::size_t i = 0; i < view.size(); ++i) {
        if (level == Level::kBucket) RETURN_IF_ERROR(visitor_.OnEntry(view.key(i), view.value(i)));
      }
      return OkStatus();
    }
    // Descending reuses the reader's buffer, so this page is kept. Leaves with buckets are few.
    const std::vector<std::uint8_t> copy(page.begin(), page.end());
    ASSIGN_OR_RETURN(const NodeView kept, NodeView::Parse(copy));
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (level == Level::kRoot) {
        if (!kept.is_bucket(i)) {
          return DataLossError("the root bucket holds \"{}\", which is not a bucket",
                               TextOf(kept.key(i)));
        }
        RETURN_IF_ERROR(visitor_.OnBucket(kept.key(i)));
      } else if (level == Level::kBucket) {
        RETURN_IF_ERROR(
            visitor_.OnEntry(kept.key(i), kept.is_bucket(i) ? ByteSpan() : kept.value(i)));
      }
      if (kept.is_bucket(i)) {
        const Level below = level == Level::kRoot ? Level::kBucket : Level::kNested;
        RETURN_IF_ERROR(Bucket(kept.value(i), below, depth), "bucket \"{}\"", TextOf(kept.key(i)));
      }
    }
    return OkStatus();
  }

  Status Bucket(ByteSpan value, Level level, int depth) {
    if (value.size() < kBucketHeaderBytes) {
      return DataLossError("its header has {} bytes, expected {}", value.size(),
                           kBucketHeaderBytes);
    }
    const PageId root = LoadLittle<std::uint64_t>(value.data());
    if (root != 0) return Page(root, level, depth + 1, {});
    const ByteSpan page = value.subspan(kBucketHeaderBytes);
    ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
    if (!view.leaf()) return DataLossError("an inline bucket that is not a leaf");
    RETURN_IF_ERROR(CheckOrder(view, {}));
    for (std::size_t i = 0; i < view.size(); ++i) {
      if (view.is_bucket(i)) return DataLossError("an inline bucket within an inline bucket");
      if (level == Level::kBucket) RETURN_IF_ERROR(visitor_.OnEntry(view.key(i), view.value(i)));
    }
    return OkStatus();
  }

  static Status CheckOrder(const NodeView& view, const Range& range) {
    for (std::size_t i = 0; i < view.size(); ++i) {
      if (view.leaf() && view.key(i).empty())
        return DataLossError("element {} has an empty key", i);
      if (i > 0 && Compare(view.key(i - 1), view.key(i)) >= 0) {
        return DataLossError("keys {} and {} are not in ascending order", i - 1, i);
      }
    }
    if (view.size() == 0) return OkStatus();
    if (range.low && Compare(view.key(0), *range.low) < 0) {
      return DataLossError("its first key is below the separator in its parent");
    }
    if (range.high && Compare(view.key(view.size() - 1), *range.high) >= 0) {
      return DataLossError("its last key is not below the next separator in its parent");
    }
    return OkStatus();
  }

  Status MarkUsed(PageId id, std::uint64_t overflow) {
    for (PageId p = id; p <= id + overflow; ++p) {
      if (used_[p]) return DataLossError("page {} is used twice", p);
      used_[p] = true;
    }
    return OkStatus();
  }

  Status CheckFreelist() {
    const PageId id = database_.meta().freelist;
    if (id == kNoFreelist) return OkStatus();
    ASSIGN_OR_RETURN(const ByteSpan page, pages_.Read(id), "freelist");
    const PageHeader header = PageHeader::Load(page.data());
    if (header.flags != kFreelistPage) {
      return DataLossError("freelist page {} has flags {:#x}", id, header.flags);
    }
    RETURN_IF_ERROR(MarkUsed(id, header.overflow));
    // A count of 0xFFFF means: the first entry is the real count.
    std::uint64_t count = header.count, first = 0;
    const std::uint64_t entries_max = (page.size() - kPageHeaderBytes) / 8;
    const auto entry = [&](std::uint64_t i) {
      return LoadLittle<std::uint64_t>(page.data() + kPageHeaderBytes + i * 8);
    };
    if (count == 0xFFFF && entries_max > 0) {
      count = entry(0);
      first = 1;
    }
    if (count > entries_max - first) {
      return DataLossError("freelist page {} claims {} entries, more than it holds", id, count);
    }
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (entry(i) >= used_.size())
        return DataLossError("free page {} is outside the database", entry(i));
      RETURN_IF_ERROR(MarkUsed(entry(i), 0), "freelist");
    }
    const auto lost = std::find(used_.begin(), used_.end(), false);
    if (lost != used_.end()) {
      return DataLossError("page {} is neither in use nor free", lost - used_.begin());
    }
    return OkStatus();
  }

  const Database& database_;
  Visitor& visitor_;
  std::stop_token stop_;
  PageReader pages_;
  std::vector<bool> used_;
};

}  // namespace

Status Walk(const Database& database, Visitor& visitor, std::stop_token stop) {
  return Annotate(Walker(database, visitor, std::move(stop)).Run(), database.file().path());
}

}  // namespace holdfast::bbolt
