#include "identity/lineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LineageTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeDirectories(fs_, layout_.db(), 0700).ok()); }
  std::vector<std::string> Former(const std::string& current = "") {
    return ReadFormerClusterIds(fs_, layout_, current).value();
  }
  std::string Text() { return ReadFile(fs_, layout_.lineage(), 1 << 20).value_or("none"); }

  testing::MemoryFs fs_;
  DataLayout layout_{"/data"};
};

TEST_F(LineageTest, IdsComeInOrderOnceAndAreNotTheOwnOne) {
  EXPECT_THAT(Former(), IsEmpty());
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"cdf818194e3a8c32", "1"}).ok());
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"1", "2"}).ok());
  EXPECT_THAT(Former(), ElementsAre("cdf818194e3a8c32", "1", "2"));
  EXPECT_THAT(Former("1"), ElementsAre("cdf818194e3a8c32", "2"));
  EXPECT_EQ(Text(), "{\"former\":[\"cdf818194e3a8c32\",\"1\",\"2\"]}\n");
  EXPECT_EQ(fs_.Stat(layout_.lineage())->mode, 0600u);
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"", "g", "2"}).ok());
  EXPECT_EQ(Former().size(), 3u);
}

TEST_F(LineageTest, NothingToAddWritesNothing) {
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {}).ok());
  EXPECT_EQ(Text(), "none");
}

TEST_F(LineageTest, WhatWasAddedCanBeUndone) {
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"1"}).ok());
  const std::vector<std::string> before = Former();
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"2"}).ok());
  ASSERT_TRUE(SetFormerClusterIds(fs_, layout_, before).ok());
  EXPECT_THAT(Former(), ElementsAre("1"));
  ASSERT_TRUE(SetFormerClusterIds(fs_, layout_, {}).ok());
  EXPECT_EQ(Text(), "none");
  EXPECT_TRUE(SetFormerClusterIds(fs_, layout_, {}).ok());
}

TEST_F(LineageTest, TheNewestHundredAreKept) {
  for (int i = 1; i <= 130; ++i)
    ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {fmt::format("{:x}", i)}).ok());
  const std::vector<std::string> former = Former();
  ASSERT_EQ(former.size(), 100u);
  EXPECT_EQ(former.front(), "1f");
  EXPECT_EQ(former.back(), "82");
}

TEST_F(LineageTest, ADamagedFileIsAnErrorAndStays) {
  for (const std::string text : {"", "{", "[]", "{}", R"({"former":"1"})", R"({"former":[1]})",
                                 R"({"former":["xyz"]})", R"({"former":["12345678901234567"]})"}) {
    ASSERT_TRUE(WriteFileAtomically(fs_, layout_.lineage(), text, 0600).ok());
    for (const Status& status : {ReadFormerClusterIds(fs_, layout_, "").status(),
                                 AddFormerClusterIds(fs_, layout_, {"1"})}) {
      EXPECT_TRUE(absl::IsDataLoss(status)) << text;
      EXPECT_THAT(MessageOf(status), HasSubstr("/data/server/db/lineage.json is damaged"));
      EXPECT_THAT(HintOf(status), HasSubstr("data are from before a reset"));
    }
    EXPECT_EQ(Text(), text);
  }
  ASSERT_TRUE(WriteFileAtomically(fs_, layout_.lineage(), std::string(100'000, ' '), 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(AddFormerClusterIds(fs_, layout_, {"1"})));
}

TEST_F(LineageTest, APowerCutLeavesTheOldOrTheNew) {
  ASSERT_TRUE(AddFormerClusterIds(fs_, layout_, {"1"}).ok());
  const auto disk = fs_.Crash(testing::Loss::kUnsynced);
  EXPECT_THAT(ReadFormerClusterIds(*disk, layout_, "").value(), ElementsAre("1"));
}

}  // namespace
}  // namespace holdfast
