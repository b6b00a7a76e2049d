#include "catalog/catalog.h"

#include <algorithm>
#include <tuple>

#include "artifact/naming.h"

namespace holdfast {

namespace {
std::string AttributeOf(const ObjectInfo& object, const char* name) {
  const auto it = object.attributes.find(name);
  return it == object.attributes.end() ? std::string() : it->second;
}
}  // namespace

StatusOr<std::vector<CatalogEntry>> ListCatalog(ObjectStore& store) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store.List());
  std::vector<CatalogEntry> out;
  for (const ObjectInfo& object : objects) {
    CatalogEntry entry{
        .name = object.name, .location = store.Location(object.name), .bytes = object.bytes};
    entry.cluster_id = AttributeOf(object, kClusterIdAttribute);
    entry.node_name = AttributeOf(object, kNodeNameAttribute);
    entry.token_hash = AttributeOf(object, kTokenHashAttribute);
    entry.created_at = CreationTimeInName(object.name).value_or(object.modified_at);
    if (const StatusOr<std::string>& text = object.metadata; text.ok()) {
      auto manifest = Manifest::Decode(*text);
      if (manifest.ok()) {
        entry.manifest = *std::move(manifest);
      } else {
        entry.error = MessageOf(manifest.status());
      }
    } else if (!absl::IsNotFound(text.status())) {
      entry.error = MessageOf(text.status());
    }
    if (!object.attributes_status.ok()) {
      entry.owner_known = false;
      entry.error = MessageOf(object.attributes_status);
    }
    if (entry.manifest && entry.manifest->ours()) entry.created_at = entry.manifest->created_at;
    out.push_back(std::move(entry));
  }
  std::sort(out.begin(), out.end(), [](const CatalogEntry& a, const CatalogEntry& b) {
    return std::tie(a.created_at, a.name) < std::tie(b.created_at, b.name);
  });
  return out;
}

}  // namespace holdfast
