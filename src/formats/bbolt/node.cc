#include "formats/bbolt/node.h"

#include <algorithm>

#include "base/endian.h"

namespace holdfast::bbolt {

// Branch element: u32 pos, u32 ksize, u64 child. Leaf element: u32 flags, u32 pos, u32 ksize, u32 vsize.
// pos counts from the element itself; a leaf's value follows its key.

StatusOr<NodeView> NodeView::Parse(ByteSpan page) {
  if (page.size() < kPageHeaderBytes) return DataLossError("page of {} bytes", page.size());
  const PageHeader header = PageHeader::Load(page.data());
  if (header.flags != kBranchPage && header.flags != kLeafPage) {
    return DataLossError("page {} has flags {:#x}, expected a branch (0x1) or leaf (0x2)",
                         header.id, header.flags);
  }
  NodeView view;
  view.page_ = page;
  view.leaf_ = header.flags == kLeafPage;
  view.count_ = header.count;
  if (view.count_ > (page.size() - kPageHeaderBytes) / kElementBytes) {
    return DataLossError("page {} claims {} elements, more than its {} bytes hold", header.id,
                         view.count_, page.size());
  }
  for (std::size_t i = 0; i < view.count_; ++i) {
    RETURN_IF_ERROR(view.CheckElement(i), "page {} element {}", header.id, i);
  }
  return view;
}

Status NodeView::CheckElement(std::size_t i) const {
  const std::uint8_t* e = element(i);
  const std::uint64_t offset = static_cast<std::uint64_t>(e - page_.data());
  const std::uint64_t pos = LoadLittle<std::uint32_t>(leaf_ ? e + 4 : e);
  const std::uint64_t key_size = LoadLittle<std::uint32_t>(leaf_ ? e + 8 : e + 4);
  const std::uint64_t value_size = leaf_ ? LoadLittle<std::uint32_t>(e + 12) : 0;
  // All are below 2^32, so the sum cannot overflow.
  if (offset + pos + key_size + value_size > page_.size()) {
    return DataLossError("its data at {} + {} + {} reach beyond the page's {} bytes", offset + pos,
                         key_size, value_size, page_.size());
  }
  return OkStatus();
}

ByteSpan NodeView::key(std::size_t i) const {
  const std::uint8_t* e = element(i);
  const std::uint32_t pos = LoadLittle<std::uint32_t>(leaf_ ? e + 4 : e);
  return {e + pos, LoadLittle<std::uint32_t>(leaf_ ? e + 8 : e + 4)};
}

ByteSpan NodeView::value(std::size_t i) const {
  const std::uint8_t* e = element(i);
  const ByteSpan k = key(i);
  return {k.data() + k.size(), LoadLittle<std::uint32_t>(e + 12)};
}

bool NodeView::is_bucket(std::size_t i) const {
  return (LoadLittle<std::uint32_t>(element(i)) & kBucketElement) != 0;
}

PageId NodeView::child(std::size_t i) const { return LoadLittle<std::uint64_t>(element(i) + 8); }

Node Node::Copy(const NodeView& view) {
  Node node;
  node.leaf = view.leaf();
  for (std::size_t i = 0; i < view.size(); ++i) {
    Element e;
    e.key = TextOf(view.key(i));
    if (node.leaf) {
      e.value = TextOf(view.value(i));
      e.is_bucket = view.is_bucket(i);
    } else {
      e.child = view.child(i);
    }
    node.elements.push_back(std::move(e));
  }
  return node;
}

std::size_t Node::Bytes() const {
  std::size_t bytes = kPageHeaderBytes;
  for (const Element& e : elements) bytes += kElementBytes + e.key.size() + e.value.size();
  return bytes;
}

std::uint64_t Node::AppendTo(std::vector<std::uint8_t>& out, PageId id,
                             std::size_t page_size) const {
  const std::size_t bytes = Bytes();
  const std::uint64_t pages = page_size == 0 ? 1 : (bytes + page_size - 1) / page_size;
  const std::size_t start = out.size();
  out.resize(start + (page_size == 0 ? bytes : pages * page_size));
  std::uint8_t* page = out.data() + start;
  PageHeader{.id = id,
             .flags = leaf ? kLeafPage : kBranchPage,
             .count = CheckedCast<std::uint16_t>(elements.size()),
             .overflow = CheckedCast<std::uint32_t>(pages - 1)}
      .Store(page);
  std::uint8_t* element = page + kPageHeaderBytes;
  std::uint8_t* data = element + elements.size() * kElementBytes;
  for (const Element& e : elements) {
    const auto pos = CheckedCast<std::uint32_t>(data - element);
    const auto key_size = CheckedCast<std::uint32_t>(e.key.size());
    if (leaf) {
      StoreLittle(element, e.is_bucket ? kBucketElement : std::uint32_t{0});
      StoreLittle(element + 4, pos);
      StoreLittle(element + 8, key_size);
      StoreLittle(element + 12, CheckedCast<std::uint32_t>(e.value.size()));
    } else {
      StoreLittle(element, pos);
      StoreLittle(element + 4, key_size);
      StoreLittle(element + 8, e.child);
    }
    data = std::copy(e.key.begin(), e.key.end(), data);
    data = std::copy(e.value.begin(), e.value.end(), data);
    element += kElementBytes;
  }
  return pages;
}

}  // namespace holdfast::bbolt
