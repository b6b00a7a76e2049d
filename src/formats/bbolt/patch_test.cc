#include "formats/bbolt/patch.h"

#include <gtest/gtest.h>

#include "formats/bbolt/walk.h"
#include "stream/memory.h"
#include "testing/bbolt_builder.h"

namespace holdfast::bbolt {
namespace {

class PatchTest : public ::testing::Test {
 protected:
  // Applies `change` and returns the new image; checks its structure.
  template <typename Change>
  std::string Patched(const std::string& image, Change change) {
    const StringAccess file(image);
    const Database database = Database::Open(file).value();
    Patch patch = Patch::Begin(database).value();
    change(patch);
    const Patch::Result result = std::move(patch).Finish();
    std::string out = image.substr(0, result.tail_offset);
    out.append(TextOf(result.tail));
    out.replace(0, result.metas.size(), TextOf(result.metas));
    EXPECT_EQ(out.size(), result.bytes());
    return out;
  }

  Patch::Entries BucketOf(const std::string& image, const std::string& bucket) {
    class Collect final : public Visitor {
     public:
      explicit Collect(std::string bucket) : wanted_(std::move(bucket)) {}
      Patch::Entries entries;
      Status OnBucket(ByteSpan name) override {
        here_ = TextOf(name) == wanted_;
        return OkStatus();
      }
      Status OnEntry(ByteSpan key, ByteSpan value) override {
        if (here_) entries[std::string(TextOf(key))] = TextOf(value);
        return OkStatus();
      }

     private:
      std::string wanted_;
      bool here_ = false;
    } collect(bucket);
    const StringAccess file(image);
    const Status walked = Walk(Database::Open(file).value(), collect);
    EXPECT_TRUE(walked.ok()) << walked;
    return collect.entries;
  }

  testing::BboltBuilder builder_;
};

TEST_F(PatchTest, SmallBucketsAreReplacedAddedAndEmptied) {
  builder_.Add("members", "a", "1");
  builder_.Add("removed", "x", "y");
  builder_.Add("other", "stays", "here");
  const std::string out = Patched(builder_.Build(), [](Patch& patch) {
    EXPECT_EQ(patch.ReadBucket("members").value(), (Patch::Entries{{"a", "1"}}));
    EXPECT_TRUE(patch.ReadBucket("none")->empty());
    patch.SetBucket("members", {{"b", "2"}, {"c", "3"}});
    patch.SetBucket("removed", {});
    patch.SetBucket("new", {{"k", std::string(5000, 'v')}});
  });
  EXPECT_EQ(BucketOf(out, "members"), (Patch::Entries{{"b", "2"}, {"c", "3"}}));
  EXPECT_TRUE(BucketOf(out, "removed").empty());
  EXPECT_EQ(BucketOf(out, "other"), (Patch::Entries{{"stays", "here"}}));
  EXPECT_EQ(BucketOf(out, "new")["k"].size(), 5000u);
}

TEST_F(PatchTest, APagedBucketIsReadWhole) {
  for (int i = 10; i < 60; ++i) builder_.Add("b", std::to_string(i), "v");
  builder_.ForcePages("b");
  Patched(builder_.Build(), [](Patch& patch) { EXPECT_EQ(patch.ReadBucket("b")->size(), 50u); });
}

TEST_F(PatchTest, AppendWorksAtEveryDepth) {
  for (int entries : {0, 1, 3, 4, 9, 10, 27, 28, 81, 82}) {
    testing::BboltBuilder builder;
    builder.ForcePages("key");
    builder.AddBucket("key");
    for (int i = 0; i < entries; ++i) builder.Add("key", fmt::format("k{:04}", i), "v");
    const std::string out = Patched(builder.Build(), [](Patch& patch) {
      ASSERT_TRUE(patch.AppendToBucket("key", "z1", "one").ok());
    });
    Patch::Entries found = BucketOf(out, "key");
    EXPECT_EQ(found.size(), static_cast<std::size_t>(entries) + 1) << entries;
    EXPECT_EQ(found["z1"], "one");
    // and again on the result
    found = BucketOf(
        Patched(out, [](Patch& patch) { ASSERT_TRUE(patch.AppendToBucket("key", "z2", "").ok()); }),
        "key");
    EXPECT_EQ(found.size(), static_cast<std::size_t>(entries) + 2) << entries;
  }
}

TEST_F(PatchTest, AppendToAnInlineBucket) {
  builder_.Add("key", "a", "1");
  const std::string out = Patched(builder_.Build(), [](Patch& patch) {
    ASSERT_TRUE(patch.AppendToBucket("key", "b", "2").ok());
  });
  EXPECT_EQ(BucketOf(out, "key"), (Patch::Entries{{"a", "1"}, {"b", "2"}}));
}

TEST_F(PatchTest, AppendRefusesAKeyThatIsNotTheHighest) {
  builder_.Add("key", "b", "1");
  builder_.ForcePages("key");
  Patched(builder_.Build(), [](Patch& patch) {
    EXPECT_EQ(patch.AppendToBucket("key", "a", "").code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(patch.AppendToBucket("key", "b", "").code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(patch.AppendToBucket("none", "c", "").code(), StatusCode::kFailedPrecondition);
  });
}

TEST_F(PatchTest, ManyBucketsInABranchedRoot) {
  // A root leaf larger than a page is one long page after the patch.
  for (int i = 100; i < 400; ++i) builder_.Add("bucket" + std::to_string(i), "k", "v");
  const std::string out = Patched(builder_.Build(), [](Patch& patch) {
    patch.SetBucket("bucket250", {{"k", "new"}});
  });
  EXPECT_EQ(BucketOf(out, "bucket250"), (Patch::Entries{{"k", "new"}}));
  EXPECT_EQ(BucketOf(out, "bucket399"), (Patch::Entries{{"k", "v"}}));
}

TEST_F(PatchTest, MoreThanItCanHoldIsAnError) {
  builder_.page_size = 8 * kMiB;  // so that all this is inline
  for (std::size_t i = 0; i < 0xffff; ++i) builder_.Add("key", fmt::format("{:05}", i), "");
  Patched(builder_.Build(), [](Patch& patch) {
    EXPECT_TRUE(absl::IsDataLoss(patch.AppendToBucket("key", "z", "")));
  });
  testing::BboltBuilder builder;
  for (int i = 0; i <= 10'000; ++i) builder.AddBucket(std::to_string(i));
  const StringAccess file(builder.Build());
  const Database database = Database::Open(file).value();
  EXPECT_TRUE(absl::IsResourceExhausted(Patch::Begin(database).status()));
}

TEST_F(PatchTest, OnlySmallBucketsAreReadWhole) {
  builder_.page_size = 1 * kMiB;
  for (int i = 0; i <= 10'000; ++i) builder_.Add("inline", std::to_string(i), "");
  for (int i = 0; i <= 10'000; ++i) builder_.Add("paged", std::to_string(i), "");
  builder_.ForcePages("paged");
  builder_.elements_max = 20'000;
  Patched(builder_.Build(), [](Patch& patch) {
    for (const char* name : {"inline", "paged"})
      EXPECT_TRUE(absl::IsResourceExhausted(patch.ReadBucket(name).status())) << name;
  });
}

TEST_F(PatchTest, ATreeWithMoreWaysThanPagesIsAnError) {
  // Forty branches, each twice the parent of the next: 2^40 ways from the root to the leaf.
  std::vector<std::uint8_t> image(2 * 4096);
  constexpr PageId kRoot = 2, kLeaf = 42;
  for (PageId id = kRoot; id < kLeaf; ++id) {
    Node branch{.leaf = false, .elements = {}};
    for (const char* key : {"a", "b"}) branch.elements.push_back({.key = key, .child = id + 1});
    branch.AppendTo(image, id, 4096);
  }
  Node().AppendTo(image, kLeaf, 4096);
  Meta{.page_size = 4096, .root = kRoot, .high_water = kLeaf + 1}.Store(image.data() +
                                                                        kPageHeaderBytes);
  const StringAccess file{std::string(TextOf(image))};
  const Database database = Database::Open(file).value();
  EXPECT_FALSE(Patch::Begin(database).ok());
}

}  // namespace
}  // namespace holdfast::bbolt
