// Which snapshots are too many. Pure: values in, names out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "catalog/catalog.h"

namespace holdfast {

struct RetentionRule {
  std::string base;       // only snapshots of this base count
  std::string node;       // this node
  std::int64_t keep = 0;  // the newest so many stay; below 1: all stay
  // Set for a place that other nodes and clusters write to as well, a bucket: which cluster this is; "" if it is not known.
  std::optional<std::string> cluster_id = {};
  absl::Time now = absl::InfiniteFuture();
};

// Dated later than the clock says, by more than clocks differ: taken while a clock was ahead. Nobody knows how old it is.
// Counted among the newest it would make each new snapshot one too many, so it is neither counted nor removed.
bool IsAheadOfTime(const CatalogEntry& entry, absl::Time now);

// True if the rule counts this snapshot; none that is ahead of time.
// In a directory: by its manifest if we wrote it (whatever the node was called then, so that a renamed host does not leave
// its old ones for ever), else only if it is named exactly <base>-<this node>-<number>.
// In a shared place: only what this node of this cluster has put there, by the object's attributes; an object that does not
// say whose it is only if it is named exactly <base>-<this node>-<number>, and one that may not be looked at never.
bool BelongsTo(const CatalogEntry& entry, const RetentionRule& rule);

// Names to remove, oldest first.
std::vector<std::string> SelectForRemoval(const std::vector<CatalogEntry>& entries,
                                          const RetentionRule& rule);

}  // namespace holdfast
