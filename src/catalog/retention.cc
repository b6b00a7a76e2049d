#include "catalog/retention.h"

#include <algorithm>
#include <tuple>

#include "artifact/naming.h"

namespace holdfast {
namespace {

constexpr absl::Duration kClocksDiffer = absl::Minutes(10);

}  // namespace

bool IsAheadOfTime(const CatalogEntry& entry, absl::Time now) {
  return entry.created_at > now + kClocksDiffer;
}

bool BelongsTo(const CatalogEntry& entry, const RetentionRule& rule) {
  if (IsAheadOfTime(entry, rule.now)) return false;
  if (!entry.owner_known) return false;
  const bool ours = entry.manifest && entry.manifest->ours();
  if (rule.cluster_id && entry.cluster_id.empty())
    return IsNamedFor(entry.name, rule.base, rule.node);
  if (rule.cluster_id && (entry.cluster_id != *rule.cluster_id || entry.node_name != rule.node))
    return false;
  if (ours) return entry.manifest->base == rule.base;
  return IsNamedFor(entry.name, rule.base, rule.node);
}

std::vector<std::string> SelectForRemoval(const std::vector<CatalogEntry>& entries,
                                          const RetentionRule& rule) {
  if (rule.keep < 1) return {};
  std::vector<const CatalogEntry*> counted;
  for (const CatalogEntry& entry : entries) {
    if (BelongsTo(entry, rule)) counted.push_back(&entry);
  }
  const auto keep = static_cast<std::size_t>(rule.keep);
  if (counted.size() <= keep) return {};
  std::sort(counted.begin(), counted.end(), [](const CatalogEntry* a, const CatalogEntry* b) {
    return std::tie(a->created_at, a->name) < std::tie(b->created_at, b->name);
  });
  counted.resize(counted.size() - keep);
  std::vector<std::string> names;
  for (const CatalogEntry* entry : counted) names.push_back(entry->name);
  return names;
}

}  // namespace holdfast
