// One branch or leaf page, decoded. View checks every bound first, so that no byte of a hostile page is read outside it.
#pragma once

#include <string>
#include <vector>

#include "formats/bbolt/layout.h"

namespace holdfast::bbolt {

// Looks into a page without copying. The page must outlive the view.
class NodeView {
 public:
  // `page` is the whole logical page: header, elements, data, with its overflow pages.
  // kDataLoss if it is neither branch nor leaf, or an element, key or value reaches outside the page.
  static StatusOr<NodeView> Parse(ByteSpan page);

  bool leaf() const { return leaf_; }
  std::size_t size() const { return count_; }
  ByteSpan key(std::size_t i) const;
  // Leaf only.
  ByteSpan value(std::size_t i) const;
  bool is_bucket(std::size_t i) const;
  // Branch only.
  PageId child(std::size_t i) const;

 private:
  const std::uint8_t* element(std::size_t i) const {
    return page_.data() + kPageHeaderBytes + i * kElementBytes;
  }
  Status CheckElement(std::size_t i) const;

  ByteSpan page_;
  bool leaf_ = false;
  std::size_t count_ = 0;
};

// A page being made.
struct Node {
  struct Element {
    std::string key;
    std::string value;       // leaf
    bool is_bucket = false;  // leaf
    PageId child = 0;        // branch
  };
  bool leaf = true;
  std::vector<Element> elements;  // ascending keys

  static Node Copy(const NodeView& view);

  // Encoded size without padding.
  std::size_t Bytes() const;
  // Appends the page with this id to `out`, padded to whole pages; returns how many pages. For an inline bucket `page_size`
  // is 0: no padding, id 0.
  std::uint64_t AppendTo(std::vector<std::uint8_t>& out, PageId id, std::size_t page_size) const;
};

}  // namespace holdfast::bbolt
