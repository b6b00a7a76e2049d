// What snapshots exist in a store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "store/object_store.h"

namespace holdfast {

struct CatalogEntry {
  std::string name;
  std::string location;
  std::uint64_t bytes = 0;  // as stored
  absl::Time created_at;    // the manifest's, else the number in the name, else the file's time
  std::optional<Manifest> manifest;
  // As the object's attributes say it; empty in a directory.
  std::string cluster_id, node_name, token_hash;
  bool owner_known = true;  // false: the store does not let us see the attributes; nobody's then
  std::string error;  // why that is so, or why there is no manifest although there are metadata
};

// Oldest first, then by name. A manifest that cannot be read is told in `error` and does not hide the snapshot.
StatusOr<std::vector<CatalogEntry>> ListCatalog(ObjectStore& store);

}  // namespace holdfast
