#include "catalog/retention.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

CatalogEntry Foreign(std::string name, std::int64_t time) {
  return {.name = std::move(name), .created_at = absl::FromUnixSeconds(time)};
}
CatalogEntry Ours(std::string name, std::string base, std::string node, std::int64_t time) {
  CatalogEntry entry = Foreign(std::move(name), time);
  entry.manifest = Manifest{.base = std::move(base), .node = std::move(node)};
  return entry;
}
const RetentionRule kKeepTwo{.base = "etcd-snapshot", .node = "n1", .keep = 2};
using Names = std::vector<std::string>;

TEST(Retention, TheNewestStayTheOldestGo) {
  EXPECT_EQ(SelectForRemoval({Foreign("etcd-snapshot-n1-4", 4), Foreign("etcd-snapshot-n1-1", 1),
                              Foreign("etcd-snapshot-n1-3", 3), Foreign("etcd-snapshot-n1-2", 2)},
                             kKeepTwo),
            (Names{"etcd-snapshot-n1-1", "etcd-snapshot-n1-2"}));
}

// A clock was ahead for a while: what was taken then must not make each new one the oldest.
TEST(Retention, WhatIsDatedAheadOfTimeIsNotCountedAndStays) {
  RetentionRule rule = kKeepTwo;
  rule.now = absl::FromUnixSeconds(1000);
  const std::vector<CatalogEntry> all = {
      Ours("etcd-snapshot-n1-900000", "etcd-snapshot", "n1", 900'000),
      Foreign("etcd-snapshot-n1-900001", 900'001), Foreign("etcd-snapshot-n1-1000", 1000),
      Foreign("etcd-snapshot-n1-998", 998), Foreign("etcd-snapshot-n1-999", 999)};
  EXPECT_EQ(SelectForRemoval(all, rule), Names{"etcd-snapshot-n1-998"});
  EXPECT_FALSE(BelongsTo(all[0], rule));
  // Clocks differ a little.
  EXPECT_TRUE(BelongsTo(Foreign("etcd-snapshot-n1-1100", 1100), rule));
}

TEST(Retention, NothingGoesUpToTheLimitOrWithoutOne) {
  const std::vector<CatalogEntry> two = {Foreign("etcd-snapshot-n1-1", 1),
                                         Foreign("etcd-snapshot-n1-2", 2)};
  EXPECT_TRUE(SelectForRemoval(two, kKeepTwo).empty());
  EXPECT_TRUE(SelectForRemoval(two, {.base = "etcd-snapshot", .node = "n1", .keep = 0}).empty());
  EXPECT_TRUE(SelectForRemoval(two, {.base = "etcd-snapshot", .node = "n1", .keep = -1}).empty());
  EXPECT_TRUE(SelectForRemoval({}, kKeepTwo).empty());
}

TEST(Retention, OtherBasesAndForeignFilesDoNotCount) {
  const std::vector<CatalogEntry> all = {Foreign("etcd-snapshot-n1-1", 1),
                                         Foreign("etcd-snapshot-n1-2", 2),
                                         Foreign("etcd-snapshot-n1-3", 3),
                                         Foreign("etcd-snapshot-large-n1-1", 1),
                                         Foreign("etcd-snapshot-n2-1", 1),
                                         Foreign("on-demand-n1-1", 1),
                                         Foreign("etcd-snapshot-n1-x", 1),
                                         Ours("a", "on-demand", "n1", 1),
                                         Foreign("README", 0)};
  EXPECT_EQ(SelectForRemoval(all, kKeepTwo), (Names{"etcd-snapshot-n1-1"}));
}

TEST(Retention, OursCountUnderAnyFormerNodeName) {
  EXPECT_EQ(SelectForRemoval({Ours("etcd-snapshot-old-1", "etcd-snapshot", "old", 1),
                              Ours("etcd-snapshot-n1-2", "etcd-snapshot", "n1", 2),
                              Ours("etcd-snapshot-n1-3.zip", "etcd-snapshot", "n1", 3)},
                             kKeepTwo),
            (Names{"etcd-snapshot-old-1"}));
}

TEST(Retention, WhatMayNotBeLookedAtIsNobodys) {
  CatalogEntry hidden = Foreign("etcd-snapshot-n1-1", 1);
  hidden.owner_known = false;
  RetentionRule rule = kKeepTwo;
  rule.cluster_id = "c1";
  EXPECT_EQ(SelectForRemoval({hidden, Foreign("etcd-snapshot-n1-2", 2),
                              Foreign("etcd-snapshot-n1-3", 3), Foreign("etcd-snapshot-n1-4", 4)},
                             rule),
            (Names{"etcd-snapshot-n1-2"}));
}

CatalogEntry InBucket(std::string name, std::string cluster, std::string node, std::int64_t time) {
  CatalogEntry entry = Ours(std::move(name), "etcd-snapshot", node, time);
  entry.cluster_id = std::move(cluster);
  entry.node_name = std::move(node);
  return entry;
}

TEST(Retention, InABucketOnlyWhatThisNodeOfThisClusterPutThereCounts) {
  const std::vector<CatalogEntry> all = {
      InBucket("etcd-snapshot-n1-1", "c1", "n1", 1),
      InBucket("etcd-snapshot-n1-2", "c2", "n1", 2),  // another cluster, a node of the same name
      InBucket("etcd-snapshot-n2-3", "c1", "n2", 3),  // another node
      Ours("etcd-snapshot-n1-4", "etcd-snapshot", "n1", 4),  // copied there without attributes
      Ours("etcd-snapshot-old-4", "etcd-snapshot", "old", 4),
      Foreign("etcd-snapshot-n1-5", 5),  // by an older RKE2
      Foreign("etcd-snapshot-n10-5", 5),
      InBucket("etcd-snapshot-n1-6", "c1", "n1", 6)};
  RetentionRule rule = kKeepTwo;
  rule.cluster_id = "c1";
  EXPECT_EQ(SelectForRemoval(all, rule), (Names{"etcd-snapshot-n1-1", "etcd-snapshot-n1-4"}));
  rule.cluster_id = "";  // not known: what says whose it is is left alone
  EXPECT_TRUE(SelectForRemoval(all, rule).empty());
  rule.keep = 1;
  EXPECT_EQ(SelectForRemoval(all, rule), Names{"etcd-snapshot-n1-4"});
}

TEST(Retention, InABucketTheBaseIsTheManifestsOrTheNames) {
  CatalogEntry without_manifest = InBucket("etcd-snapshot-n1-1", "c1", "n1", 1);
  without_manifest.manifest.reset();
  CatalogEntry other_base = InBucket("on-demand-n1-2", "c1", "n1", 2);
  other_base.manifest->base = "on-demand";
  RetentionRule rule = kKeepTwo;
  rule.cluster_id = "c1";
  EXPECT_TRUE(BelongsTo(without_manifest, rule));
  EXPECT_FALSE(BelongsTo(other_base, rule));
}

TEST(Retention, IsIdempotentAndNeverTakesTheNewest) {
  for (int keep = 1; keep < 6; ++keep) {
    std::vector<CatalogEntry> all;
    for (int i = 0; i < 5; ++i)
      all.push_back(Foreign("etcd-snapshot-n1-" + std::to_string(i), i * 7 % 5));
    const RetentionRule rule{.base = "etcd-snapshot", .node = "n1", .keep = keep};
    for (const std::string& name : SelectForRemoval(all, rule)) {
      std::erase_if(all, [&](const CatalogEntry& e) { return e.name == name; });
    }
    EXPECT_EQ(all.size(), static_cast<std::size_t>(std::min(keep, 5)));
    EXPECT_TRUE(SelectForRemoval(all, rule).empty());
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& e) {
      return e.created_at == absl::FromUnixSeconds(4);
    }));
  }
}

}  // namespace
}  // namespace holdfast
