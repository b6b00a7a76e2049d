// `holdfast datastore migrate`: the keys of one datastore into another, kind to kind. The source is only read; the target
// must hold no keys, and holds the same afterwards: both content hashes are computed from what was read back.
#pragma once

#include <functional>
#include <stop_token>

#include "datastore/datastore.h"

namespace holdfast {

struct MigrateRequest {
  Datastore& from;
  Datastore& to;
  Rows which =
      Rows::kLive;  // kAll: with history, if both kinds keep one (DatastoreKind::keeps_history)
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};  // keys
  std::stop_token stop = {};
};

struct MigrateReport {
  std::uint64_t rows = 0;
  SnapshotFacts source, target;
};

// kFailedPrecondition if the source has no keys to give or the target has some already; kAborted if the source was written
// to meanwhile, so that the two cannot be compared (the target holds one consistent state all the same); kDataLoss if they
// differ otherwise.
StatusOr<MigrateReport> Migrate(const MigrateRequest& request);

}  // namespace holdfast
