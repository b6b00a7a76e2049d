#include "formats/mvcc/stream_observer.h"

#include <algorithm>

#include "base/endian.h"
#include "formats/bbolt/node.h"
#include "formats/mvcc/revision.h"

namespace holdfast::mvcc {
namespace {

using bbolt::PageId;

enum Step { kLeafElement, kBranchElement, kLastKey, kRootPage };

// Enough for meta 0, and a whole number of any smaller page size.
constexpr std::size_t kFirstPieceBytes = 4096;
constexpr std::size_t kRootPageBytesMax = 4 * kMiB;
// 256 GiB of 4 KiB pages: no etcd is so large, a hostile meta may say it is.
constexpr std::uint64_t kPagesMax = 1u << 26;
constexpr std::size_t kWantedMax = 4096;
constexpr int kDepthMax = 64;
constexpr std::int64_t kUnknown = 0;  // in last_

// The page of a small bucket, which lies in its value; nullopt if it has pages of its own.
std::optional<bbolt::NodeView> InlinePage(ByteSpan bucket_value) {
  if (bucket_value.size() < bbolt::kBucketHeaderBytes) return std::nullopt;
  if (LoadLittle<std::uint64_t>(bucket_value.data()) != 0) return std::nullopt;
  const auto page = bbolt::NodeView::Parse(bucket_value.subspan(bbolt::kBucketHeaderBytes));
  if (!page.ok() || !page->leaf()) return std::nullopt;
  return *page;
}

}  // namespace

void StreamObserver::Update(ByteSpan data) {
  while (!data.empty() && !failed_) {
    const std::size_t unit = meta_ ? meta_->page_size : kFirstPieceBytes;
    if (partial_.empty() && meta_ && data.size() >= unit) {
      OnPage(data.first(unit));
      data = data.subspan(unit);
      continue;
    }
    const std::size_t n = std::min(unit - partial_.size(), data.size());
    partial_.insert(partial_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n));
    data = data.subspan(n);
    if (partial_.size() < unit) return;
    std::vector<std::uint8_t> piece = std::move(partial_);
    partial_.clear();
    if (meta_) {
      OnPage(piece);
      continue;
    }
    meta_ = bbolt::Meta::Load(piece.data() + bbolt::kPageHeaderBytes);
    failed_ = !meta_ || meta_->high_water > kPagesMax || meta_->page_size < bbolt::kPageSizeMin ||
              meta_->page_size > bbolt::kPageSizeMax || meta_->root < 2;
    if (!failed_) {
      last_.resize(meta_->high_water);
      Update(piece);  // again, now that the page size is known
    }
  }
}

void StreamObserver::OnPage(ByteSpan page) {
  const std::uint64_t offset = position_;
  position_ += page.size();
  Feed(offset, page);
  const PageId id = offset / page.size();
  if (id < 2 || id >= last_.size()) return;
  const bbolt::PageHeader header = bbolt::PageHeader::Load(page.data());
  if (header.id != id || header.count == 0) return;  // data of a longer page, or never used
  OnTreePage(id, header);
  Feed(offset, page);
}

void StreamObserver::OnTreePage(PageId id, const bbolt::PageHeader& header) {
  const std::uint64_t offset = id * meta_->page_size;
  if (id == meta_->root) {
    const std::uint64_t bytes = (std::uint64_t{header.overflow} + 1) * meta_->page_size;
    if (bytes <= kRootPageBytesMax) Want(offset, bytes, id, kRootPage);
    return;
  }
  if (header.flags != bbolt::kLeafPage && header.flags != bbolt::kBranchPage) return;
  const std::uint64_t element =
      offset + bbolt::kPageHeaderBytes + (header.count - std::uint64_t{1}) * bbolt::kElementBytes;
  Want(element, bbolt::kElementBytes, id,
       header.flags == bbolt::kLeafPage ? kLeafElement : kBranchElement);
}

void StreamObserver::Want(std::uint64_t offset, std::size_t bytes, PageId page, int step) {
  // Only stale or hostile pages can pile up so many; the one that is dropped may be one that counts.
  failed_ = failed_ || wanted_.size() >= kWantedMax;
  if (!failed_) wanted_.emplace(offset, Wanted{page, step, bytes, {}});
}

// Gives `data`, which stands at `offset`, to all that wait for bytes in it.
void StreamObserver::Feed(std::uint64_t offset, ByteSpan data) {
  const std::uint64_t end = offset + data.size();
  while (!wanted_.empty() && wanted_.begin()->first < end) {
    auto node = wanted_.extract(wanted_.begin());
    Wanted& w = node.mapped();
    const std::uint64_t start = node.key();
    if (start < offset) continue;  // it lay in bytes that have passed: a stale page
    const std::size_t n = std::min<std::uint64_t>(w.size - w.bytes.size(), end - start);
    const ByteSpan piece = data.subspan(start - offset, n);
    w.bytes.insert(w.bytes.end(), piece.begin(), piece.end());
    if (w.bytes.size() < w.size) {
      node.key() = start + n;
      wanted_.insert(std::move(node));
    } else {
      OnWanted(w.page, w.step, start + n - w.size, w.bytes);
    }
  }
}

void StreamObserver::OnWanted(PageId page, int step, std::uint64_t offset,
                              const std::vector<std::uint8_t>& bytes) {
  switch (step) {
    case kRootPage:
      root_ = bytes;
      break;
    case kBranchElement:
      last_[page] = -static_cast<std::int64_t>(LoadLittle<std::uint64_t>(bytes.data() + 8) &
                                               (kPagesMax * 2 - 1));
      break;
    case kLeafElement: {
      const std::uint32_t pos = LoadLittle<std::uint32_t>(bytes.data() + 4);
      const std::uint32_t key_size = LoadLittle<std::uint32_t>(bytes.data() + 8);
      if (key_size == 17 || key_size == 18) Want(offset + pos, key_size, page, kLastKey);
      break;
    }
    case kLastKey:
      if (const auto revision = Revision::Parse(bytes))
        last_[page] = std::max(revision->main, kUnknown);
      break;
    default:
      break;
  }
}

std::optional<StreamObserver::Result> StreamObserver::Finish() const {
  if (failed_ || root_.empty()) return std::nullopt;
  const auto root = bbolt::NodeView::Parse(root_);
  if (!root.ok() || !root->leaf()) return std::nullopt;
  std::optional<std::int64_t> last;
  std::int64_t finished = 0, scheduled = 0;
  for (std::size_t i = 0; i < root->size(); ++i) {
    const std::string_view name = TextOf(root->key(i));
    if (name == "key") last = LastRevision(root->value(i));
    if (name != "meta") continue;
    const auto meta = InlinePage(root->value(i));
    if (!meta) return std::nullopt;
    for (std::size_t j = 0; j < meta->size(); ++j) {
      const std::string_view entry = TextOf(meta->key(j));
      const auto revision = Revision::Parse(meta->value(j));
      if (entry == "finishedCompactRev" && revision) finished = revision->main;
      if (entry == "scheduledCompactRev" && revision) scheduled = revision->main;
    }
  }
  if (!last) return std::nullopt;
  return Result{.revision = std::max({*last, finished, scheduled}), .compact_revision = finished};
}

std::optional<std::int64_t> StreamObserver::LastRevision(ByteSpan bucket_value) const {
  if (const auto page = InlinePage(bucket_value)) {
    if (page->size() == 0) return 1;
    const auto revision = Revision::Parse(page->key(page->size() - 1));
    return revision ? std::optional(revision->main) : std::nullopt;
  }
  if (bucket_value.size() < bbolt::kBucketHeaderBytes) return std::nullopt;
  PageId id = LoadLittle<std::uint64_t>(bucket_value.data());
  for (int depth = 0; depth < kDepthMax && id < last_.size(); ++depth) {
    const std::int64_t last = last_[id];
    if (last == kUnknown) return std::nullopt;
    if (last > 0) return last;
    id = static_cast<PageId>(-last);
  }
  return std::nullopt;
}

}  // namespace holdfast::mvcc
