#include "formats/bbolt/patch.h"

#include "base/endian.h"
#include "formats/bbolt/walk.h"

namespace holdfast::bbolt {
namespace {

constexpr int kDepthMax = 64;
// What is read whole: the list of buckets (etcd has about ten) and the small ones among them (a few entries).
constexpr std::size_t kSmallTreeBytesMax = 16 * kMiB, kSmallTreeElementsMax = 10'000;
constexpr std::size_t kPageElementsMax = 0xffff;  // their count has 16 bits

PageId RootOf(std::string_view bucket_value) {
  return LoadLittle<std::uint64_t>(BytesOf(bucket_value).data());
}

// The element value of a bucket with pages of its own: root page, and the sequence it had.
std::string PagedBucketValue(PageId root, std::uint64_t sequence) {
  std::string value(kBucketHeaderBytes, '\0');
  auto* p = reinterpret_cast<std::uint8_t*>(value.data());
  StoreLittle(p, root);
  StoreLittle(p + 8, sequence);
  return value;
}

Status CheckSmall(std::size_t bytes, std::size_t elements) {
  if (bytes <= kSmallTreeBytesMax && elements <= kSmallTreeElementsMax) return OkStatus();
  return ResourceExhaustedError("it has more than {} bytes or {} entries", kSmallTreeBytesMax,
                                kSmallTreeElementsMax);
}

// Gathers the elements of a small tree.
Status Collect(PageReader& pages, PageId id, int depth, std::vector<Node::Element>& out,
               std::size_t& bytes) {
  if (depth > kDepthMax)
    return DataLossError("page {}: the tree is deeper than {} levels", id, kDepthMax);
  ASSIGN_OR_RETURN(const ByteSpan page, pages.Read(id));
  bytes += page.size();
  ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
  RETURN_IF_ERROR(CheckSmall(bytes, out.size() + view.size()));
  Node node = Node::Copy(view);
  for (Node::Element& e : node.elements) {
    if (node.leaf) {
      out.push_back(std::move(e));
    } else {
      RETURN_IF_ERROR(Collect(pages, e.child, depth + 1, out, bytes));
    }
  }
  return OkStatus();
}

StatusOr<std::vector<Node::Element>> CollectTree(const Database& database, PageId root) {
  PageReader pages(database);
  std::vector<Node::Element> out;
  std::size_t bytes = 0;
  RETURN_IF_ERROR(Collect(pages, root, 0, out, bytes));
  return out;
}

// A copy of a page that gets one more element.
StatusOr<Node> CopyToGrow(ByteSpan page) {
  ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
  if (view.size() >= kPageElementsMax) return DataLossError("a page of {} elements", view.size());
  return Node::Copy(view);
}

ByteSpan InlinePage(std::string_view bucket_value) {
  return BytesOf(bucket_value.substr(kBucketHeaderBytes));
}

}  // namespace

StatusOr<Patch> Patch::Begin(const Database& database) {
  Patch patch(database);
  ASSIGN_OR_RETURN(std::vector<Node::Element> buckets, CollectTree(database, database.meta().root),
                   "{}: list of buckets", database.file().path());
  for (Node::Element& bucket : buckets) {
    if (!bucket.is_bucket || bucket.value.size() < kBucketHeaderBytes) {
      return DataLossError("{}: the root bucket holds \"{}\", which is not a bucket",
                           database.file().path(), bucket.key);
    }
    patch.buckets_[bucket.key] = std::move(bucket.value);
  }
  return patch;
}

StatusOr<Patch::Entries> Patch::ReadBucket(const std::string& name) const {
  Entries out;
  const auto bucket = buckets_.find(name);
  if (bucket == buckets_.end()) return out;
  std::vector<Node::Element> elements;
  if (const PageId root = RootOf(bucket->second); root != 0) {
    CHECK(root < database_->meta().high_water || tail_.empty());  // read before it is changed
    ASSIGN_OR_RETURN(elements, CollectTree(*database_, root), "bucket \"{}\"", name);
  } else {
    ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(InlinePage(bucket->second)),
                     "bucket \"{}\"", name);
    elements = Node::Copy(view).elements;
  }
  RETURN_IF_ERROR(CheckSmall(0, elements.size()), "bucket \"{}\"", name);
  for (Node::Element& e : elements) out[e.key] = std::move(e.value);
  return out;
}

PageId Patch::NextPage() const {
  return database_->meta().high_water + tail_.size() / database_->page_size();
}

PageId Patch::Emit(const Node& node) {
  const PageId id = NextPage();
  node.AppendTo(tail_, id, database_->page_size());
  return id;
}

std::string Patch::BucketValue(const Node& leaf) {
  // bbolt keeps a bucket inline up to a quarter of a page (bucket.go, maxInlineBucketSize).
  if (leaf.Bytes() > database_->page_size() / 4) return PagedBucketValue(Emit(leaf), 0);
  std::vector<std::uint8_t> page;
  leaf.AppendTo(page, 0, 0);
  return std::string(kBucketHeaderBytes, '\0').append(TextOf(page));
}

void Patch::SetBucket(const std::string& name, const Entries& entries) {
  Node leaf;
  for (const auto& [key, value] : entries) leaf.elements.push_back({.key = key, .value = value});
  buckets_[name] = BucketValue(leaf);
}

Status Patch::AppendToBucket(const std::string& name, std::string_view key,
                             std::string_view value) {
  const auto bucket = buckets_.find(name);
  if (bucket == buckets_.end()) return FailedPreconditionError("there is no bucket \"{}\"", name);
  const Node::Element added{.key = std::string(key), .value = std::string(value)};
  const auto check_above = [&](const Node& leaf) {
    if (leaf.elements.empty() || leaf.elements.back().key < added.key) return OkStatus();
    return FailedPreconditionError("bucket \"{}\" has a key above the one to append", name);
  };
  const PageId root = RootOf(bucket->second);
  if (root == 0) {
    ASSIGN_OR_RETURN(Node leaf, CopyToGrow(InlinePage(bucket->second)), "bucket \"{}\"", name);
    RETURN_IF_ERROR(check_above(leaf));
    leaf.elements.push_back(added);
    bucket->second = BucketValue(leaf);
    return OkStatus();
  }
  // The branches on the right edge, root first, then the last leaf.
  std::vector<Node> edge;
  PageReader pages(*database_);
  for (PageId id = root;;) {
    ASSIGN_OR_RETURN(const ByteSpan page, pages.Read(id), "bucket \"{}\"", name);
    ASSIGN_OR_RETURN(edge.emplace_back(), CopyToGrow(page), "bucket \"{}\": page {}", name, id);
    const Node& node = edge.back();
    if (node.leaf) break;
    if (node.elements.empty() || edge.size() > kDepthMax)
      return DataLossError("bucket \"{}\": page {} is damaged", name, id);
    id = node.elements.back().child;
  }
  RETURN_IF_ERROR(check_above(edge.back()));
  const std::uint64_t sequence = LoadLittle<std::uint64_t>(BytesOf(bucket->second).data() + 8);
  // A leaf of its own for the entry; every branch above is copied with its last child replaced.
  Node leaf;
  leaf.elements.push_back(added);
  PageId child = Emit(leaf);
  if (edge.size() == 1) {
    Node top{.leaf = false, .elements = {}};
    if (!edge[0].elements.empty()) {
      top.elements.push_back({.key = edge[0].elements[0].key, .child = root});
    }
    top.elements.push_back({.key = added.key, .child = child});
    child = Emit(top);
  }
  for (std::size_t level = edge.size() - 1; level-- > 0;) {
    Node& branch = edge[level];
    if (level + 2 == edge.size()) {
      branch.elements.push_back({.key = added.key, .child = child});
    } else {
      branch.elements.back().child = child;
    }
    child = Emit(branch);
  }
  bucket->second = PagedBucketValue(child, sequence);
  return OkStatus();
}

Patch::Result Patch::Finish() && {
  Node root;
  for (auto& [name, value] : buckets_) {
    root.elements.push_back({.key = name, .value = std::move(value), .is_bucket = true});
  }
  Meta meta = database_->meta();
  meta.root = Emit(root);
  meta.high_water = NextPage();
  meta.freelist = kNoFreelist;
  meta.txid += 2;

  const std::size_t page_size = database_->page_size();
  Result result{.tail_offset = database_->bytes(), .tail = std::move(tail_), .metas = {}};
  result.metas.resize(2 * page_size);
  for (PageId id : {PageId{0}, PageId{1}}) {
    std::uint8_t* page = result.metas.data() + id * page_size;
    PageHeader{.id = id, .flags = kMetaPage}.Store(page);
    meta.txid -= id;  // as in a snapshot stream: page 0 has the newer one
    meta.Store(page + kPageHeaderBytes);
  }
  return result;
}

}  // namespace holdfast::bbolt
