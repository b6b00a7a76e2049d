#include "ops/sealed_in_manifests.h"

#include "catalog/catalog.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "store/local_store.h"

namespace holdfast {

StatusOr<std::optional<SealedInManifest>> FindSealedInManifests(const SnapshotPlace& place,
                                                                const Secret& password) {
  LocalStore directory(place.fs, place.directory);
  std::vector<CatalogEntry> entries;
  ASSIGN_OR_RETURN(const bool exists, Exists(place.fs, place.directory));
  if (exists) {
    ASSIGN_OR_RETURN(entries, ListCatalog(directory));
  }
  if (place.s3 != nullptr) {
    ASSIGN_OR_RETURN(std::vector<CatalogEntry> copies, ListCatalog(*place.s3->store));
    for (CatalogEntry& copy : copies) entries.push_back(std::move(copy));
  }
  const std::string hash = TokenHash(password);
  const CatalogEntry* newest = nullptr;
  for (const CatalogEntry& entry : entries) {
    if (!entry.manifest || entry.manifest->bootstrap.empty()) continue;
    if (entry.manifest->token_hash != hash) continue;
    if (newest == nullptr || entry.created_at > newest->created_at) newest = &entry;
  }
  if (newest == nullptr) return std::optional<SealedInManifest>();
  ASSIGN_OR_RETURN(const std::string plain, OpenSealed(newest->manifest->bootstrap, password),
                   "the metadata of {}", newest->location);
  ASSIGN_OR_RETURN(BootstrapData data, DecodeBootstrap(plain), "the metadata of {}",
                   newest->location);
  return SealedInManifest{.snapshot = newest->location, .data = std::move(data)};
}

}  // namespace holdfast
