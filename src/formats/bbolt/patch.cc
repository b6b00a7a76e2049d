#include "formats/bbolt/patch.h"

#include "base/endian.h"
#include "formats/bbolt/walk.h"

namespace holdfast::bbolt {
namespace {

constexpr int kDepthMax = 64;
constexpr std::size_t kSmallBucketBytesMax = 16 * kMiB;

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

}  // namespace

StatusOr<Patch> Patch::Begin(const Database& database) {
  Patch patch(database);
  RETURN_IF_ERROR(patch.CollectBuckets(database.meta().root, 0), "{}", database.file().path());
  return patch;
}

Status Patch::CollectBuckets(PageId id, int depth) {
  if (depth > kDepthMax)
    return DataLossError("page {}: the tree is deeper than {} levels", id, kDepthMax);
  PageReader pages(*database_);
  ASSIGN_OR_RETURN(const ByteSpan page, pages.Read(id));
  ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
  for (std::size_t i = 0; i < view.size(); ++i) {
    if (!view.leaf()) {
      RETURN_IF_ERROR(CollectBuckets(view.child(i), depth + 1));
      continue;
    }
    const std::string name(TextOf(view.key(i)));
    if (!view.is_bucket(i) || view.value(i).size() < kBucketHeaderBytes) {
      return DataLossError("page {}: \"{}\" is not a bucket", id, name);
    }
    buckets_[name] = TextOf(view.value(i));
  }
  return OkStatus();
}

StatusOr<Node> Patch::InlineNode(std::string_view bucket_value) {
  ASSIGN_OR_RETURN(const NodeView view,
                   NodeView::Parse(BytesOf(bucket_value.substr(kBucketHeaderBytes))));
  return Node::Copy(view);
}

namespace {

// Gathers the entries of a small tree.
Status CollectEntries(PageReader& pages, PageId id, int depth, Patch::Entries& out,
                      std::size_t& bytes) {
  if (depth > kDepthMax)
    return DataLossError("page {}: the tree is deeper than {} levels", id, kDepthMax);
  ASSIGN_OR_RETURN(const ByteSpan page, pages.Read(id));
  bytes += page.size();
  if (bytes > kSmallBucketBytesMax) {
    return ResourceExhaustedError("the bucket is larger than {} bytes", kSmallBucketBytesMax);
  }
  ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page));
  const Node node = Node::Copy(view);
  for (const Node::Element& e : node.elements) {
    if (node.leaf) {
      out[e.key] = e.value;
    } else {
      RETURN_IF_ERROR(CollectEntries(pages, e.child, depth + 1, out, bytes));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Patch::Entries> Patch::ReadBucket(const std::string& name) const {
  Entries out;
  const auto bucket = buckets_.find(name);
  if (bucket == buckets_.end()) return out;
  if (const PageId root = RootOf(bucket->second); root != 0) {
    CHECK(root < database_->meta().high_water || tail_.empty());  // read before it is changed
    PageReader pages(*database_);
    std::size_t bytes = 0;
    RETURN_IF_ERROR(CollectEntries(pages, root, 0, out, bytes), "bucket \"{}\"", name);
    return out;
  }
  ASSIGN_OR_RETURN(const Node node, InlineNode(bucket->second), "bucket \"{}\"", name);
  for (const Node::Element& e : node.elements) out[e.key] = e.value;
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
    ASSIGN_OR_RETURN(Node leaf, InlineNode(bucket->second), "bucket \"{}\"", name);
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
    ASSIGN_OR_RETURN(const NodeView view, NodeView::Parse(page), "bucket \"{}\"", name);
    edge.push_back(Node::Copy(view));
    if (view.leaf()) break;
    if (view.size() == 0 || edge.size() > kDepthMax)
      return DataLossError("bucket \"{}\": page {} is damaged", name, id);
    id = view.child(view.size() - 1);
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
