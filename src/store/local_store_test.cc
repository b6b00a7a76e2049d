#include "store/local_store.h"

#include <gtest/gtest.h>

#include "testing/temp_dir.h"

namespace holdfast {
namespace {

class LocalStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs_.MakeDirectory(dir_ / "snapshots", 0700).ok()); }
  void Save(const std::string& name, std::string_view text) {
    auto object = store_.Create(name, {}).value();
    ASSERT_TRUE(object->Write(BytesOf(text)).ok());
    ASSERT_TRUE(object->Finish().ok());
    ASSERT_TRUE(object->Commit().ok());
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto listed = store_.List().value();
    for (const ObjectInfo& info : listed) names.push_back(info.name);
    return names;
  }
  FileSystem& fs_ = PosixFileSystem();
  testing::TempDir dir_;
  LocalStore store_{fs_, dir_ / "snapshots"};
};

TEST_F(LocalStoreTest, ObjectsAppearAtCommitWithMode0600) {
  {
    auto object = store_.Create("a-n-1", {}).value();
    ASSERT_TRUE(object->Write(BytesOf("x")).ok());
    EXPECT_TRUE(Names().empty());
  }
  EXPECT_TRUE(fs_.List(dir_ / "snapshots")->empty());
  Save("a-n-1", "hello");
  EXPECT_EQ(Names(), (std::vector<std::string>{"a-n-1"}));
  EXPECT_EQ(fs_.Stat(dir_ / "snapshots/a-n-1")->mode, 0600u);
  EXPECT_EQ(store_.Open("a-n-1").value()->Size().value(), 5u);
  EXPECT_EQ(store_.Location("a-n-1"), "file://" + (dir_ / "snapshots/a-n-1"));
}

TEST_F(LocalStoreTest, ATakenNameIsNotReplaced) {
  auto late = store_.Create("a", {}).value();
  ASSERT_TRUE(late->Finish().ok());
  EXPECT_TRUE(absl::IsAlreadyExists(([&] {
    auto first = fs_.Create(dir_ / "snapshots/a", 0600);
    return late->Commit();
  })()));
  EXPECT_TRUE(absl::IsAlreadyExists(store_.Create("a", {}).status()));
}

TEST_F(LocalStoreTest, MetadataLieBesideAndGoWithTheObject) {
  Save("a", "x");
  ASSERT_TRUE(store_.WriteMetadata("a", "{}").ok());
  EXPECT_EQ(fs_.Stat(dir_ / ".metadata")->mode, 0700u);
  EXPECT_EQ(fs_.Stat(dir_ / ".metadata/a")->mode, 0600u);
  EXPECT_EQ(store_.ReadMetadata("a").value(), "{}");
  ASSERT_TRUE(store_.Remove("a").ok());
  EXPECT_TRUE(absl::IsNotFound(store_.ReadMetadata("a").status()));
  EXPECT_TRUE(absl::IsNotFound(store_.Remove("a")));
}

TEST_F(LocalStoreTest, LeftoversAreNeitherListedNorOpenedAndCanBeCleaned) {
  Save("a", "x");
  fs_.Create(dir_ / "snapshots/b-n-2.part", 0600).IgnoreError();
  fs_.Create(dir_ / "snapshots/.hidden", 0600).IgnoreError();
  fs_.MakeDirectory(dir_ / "snapshots/sub", 0700).IgnoreError();
  EXPECT_EQ(Names(), (std::vector<std::string>{"a"}));
  EXPECT_FALSE(store_.Open("b-n-2.part").ok());
  EXPECT_EQ(store_.RemoveUnfinished([](auto, auto) { return false; }).value(),
            std::vector<std::string>());
  EXPECT_EQ(
      store_.RemoveUnfinished([](std::string_view name, auto) { return name == "b-n-2"; }).value(),
      (std::vector<std::string>{"b-n-2.part"}));
  EXPECT_EQ(Names(), (std::vector<std::string>{"a"}));
}

TEST_F(LocalStoreTest, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* bad : {"../a", "a/b", "", ".."}) {
    EXPECT_EQ(store_.Remove(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store_.Open(bad).status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store_.Create(bad, {}).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST_F(LocalStoreTest, AMissingDirectoryListsAsEmpty) {
  EXPECT_TRUE(LocalStore(fs_, dir_ / "none").List()->empty());
}

TEST_F(LocalStoreTest, TooLittleSpaceIsSaidBefore) {
  const Status status = store_.Create("a", {.bytes_expected = std::uint64_t{1} << 60}).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(MessageOf(status).find("are free in " + (dir_ / "snapshots")), std::string::npos)
      << status;
}

}  // namespace
}  // namespace holdfast
