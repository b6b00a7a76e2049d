// Makes small bbolt files in memory, with trees as deep as a test wants.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/endian.h"
#include "formats/bbolt/node.h"

namespace holdfast::testing {

class BboltBuilder {
 public:
  std::size_t page_size = 4096;
  std::size_t elements_max = 3;  // in a leaf or branch of a bucket with pages of its own
  std::uint64_t txid = 8;
  bool store_freelist = false;  // an empty list in a page of its own

  // An inline bucket if it is small, as bbolt would.
  void Add(const std::string& bucket, const std::string& key, const std::string& value) {
    buckets_[bucket][key] = value;
  }
  void AddBucket(const std::string& bucket) { buckets_[bucket]; }
  // This bucket gets pages even if it is small.
  void ForcePages(const std::string& bucket) { paged_.push_back(bucket); }

  std::string Build() const {
    std::vector<std::uint8_t> pages(2 * page_size);
    bbolt::Node root;
    for (const auto& [name, entries] : buckets_) {
      bbolt::Node leaf;
      for (const auto& [key, value] : entries)
        leaf.elements.push_back({.key = key, .value = value});
      std::string value(bbolt::kBucketHeaderBytes, '\0');
      const bool force = std::find(paged_.begin(), paged_.end(), name) != paged_.end();
      if (!force && leaf.Bytes() <= page_size / 4) {
        std::vector<std::uint8_t> page;
        leaf.AppendTo(page, 0, 0);
        value.append(TextOf(page));
      } else {
        StoreLittle(reinterpret_cast<std::uint8_t*>(value.data()), Tree(leaf, pages));
      }
      root.elements.push_back({.key = name, .value = value, .is_bucket = true});
    }
    bbolt::Meta meta{.page_size = CheckedCast<std::uint32_t>(page_size), .txid = txid};
    meta.root = Emit(root, pages);
    if (store_freelist) {
      meta.freelist = pages.size() / page_size;
      pages.resize(pages.size() + page_size);
      bbolt::PageHeader{.id = meta.freelist, .flags = bbolt::kFreelistPage}.Store(
          pages.data() + meta.freelist * page_size);
    }
    meta.high_water = pages.size() / page_size;
    for (bbolt::PageId id : {bbolt::PageId{0}, bbolt::PageId{1}}) {
      std::uint8_t* page = pages.data() + id * page_size;
      bbolt::PageHeader{.id = id, .flags = bbolt::kMetaPage}.Store(page);
      meta.txid -= id;
      meta.Store(page + bbolt::kPageHeaderBytes);
    }
    return std::string(TextOf(pages));
  }

 private:
  bbolt::PageId Emit(const bbolt::Node& node, std::vector<std::uint8_t>& pages) const {
    const bbolt::PageId id = pages.size() / page_size;
    node.AppendTo(pages, id, page_size);
    return id;
  }

  // Cuts the node into pages of elements_max, level by level, until one is left.
  bbolt::PageId Tree(const bbolt::Node& all, std::vector<std::uint8_t>& pages) const {
    bbolt::Node above{.leaf = false, .elements = {}};
    for (std::size_t i = 0; i < all.elements.size() || i == 0; i += elements_max) {
      bbolt::Node part{.leaf = all.leaf, .elements = {}};
      for (std::size_t j = i; j < std::min(i + elements_max, all.elements.size()); ++j) {
        part.elements.push_back(all.elements[j]);
      }
      const std::string first = part.elements.empty() ? "" : part.elements[0].key;
      above.elements.push_back({.key = first, .child = Emit(part, pages)});
    }
    if (above.elements.size() == 1) return above.elements[0].child;
    return Tree(above, pages);
  }

  std::map<std::string, std::map<std::string, std::string>> buckets_;
  std::vector<std::string> paged_;
};

}  // namespace holdfast::testing
