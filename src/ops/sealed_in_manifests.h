// A server beside another's datastore keeps nothing of its own there: its bootstrap data lie sealed in the manifests of its
// snapshots. On a new host, with the token, it becomes the one it was, so that its snapshots in S3 are its own again.
#pragma once

#include <optional>
#include <string>

#include "base/redacted.h"
#include "keys/bootstrap.h"
#include "ops/snapshots.h"

namespace holdfast {

struct SealedInManifest {
  std::string snapshot;  // its location
  BootstrapData data;
};

// Of the newest snapshot in the directory and the bucket of `place` whose manifest holds bootstrap data sealed with
// `password`; nullopt if there is none. kDataLoss: that hash is there, but what is sealed is damaged.
StatusOr<std::optional<SealedInManifest>> FindSealedInManifests(const SnapshotPlace& place,
                                                                const Secret& password);

}  // namespace holdfast
