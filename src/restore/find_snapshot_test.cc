#include "restore/find_snapshot.h"

#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

class FindSnapshotTest : public ::testing::Test {
 protected:
  FindSnapshotTest() {
    for (const char* d : {"/snapshots", "/home/me/sub"})
      EXPECT_TRUE(MakeDirectories(fs_, d, 0700).ok());
    Write("/snapshots/stored-n-1", "S");
    Write("/snapshots/both-n-1", "S");
    Write("/home/me/both-n-1", "other");
    Write("/snapshots/same-n-1", "S");
    Write("/home/me/same-n-1", "S");
    Write("/home/me/here-n-1", "H");
    Write("/home/me/sub/deep", "D");
    Write("/snapshots/zipped-n-1.zip", "Z");
  }
  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(fs_, path, text, 0600).ok());
  }
  StatusOr<std::string> Find(const std::string& given) {
    return FindSnapshot(fs_, given, "/snapshots", "/home/me");
  }
  testing::MemoryFs fs_;
};

TEST_F(FindSnapshotTest, PathsAreOfTheCallerAndNamesOfTheSnapshotDirectoryFirst) {
  EXPECT_EQ(Find("/home/me/here-n-1").value(), "/home/me/here-n-1");
  EXPECT_EQ(Find("sub/deep").value(), "/home/me/sub/deep");
  EXPECT_EQ(Find("./here-n-1").value(), "/home/me/here-n-1");
  EXPECT_EQ(Find("stored-n-1").value(), "/snapshots/stored-n-1");
  EXPECT_EQ(Find("here-n-1").value(), "/home/me/here-n-1");
  EXPECT_EQ(Find("same-n-1").value(), "/snapshots/same-n-1");
  EXPECT_EQ(Find("file:///snapshots/stored-n-1").value(), "/snapshots/stored-n-1");
}

TEST_F(FindSnapshotTest, TwoDifferentFilesOfOneNameAreRefused) {
  const Status status = Find("both-n-1").status();
  EXPECT_EQ(MessageOf(status),
            "there are two different files of the name both-n-1: /snapshots/both-n-1 and "
            "/home/me/both-n-1");
}

TEST_F(FindSnapshotTest, MissingOnesGetAHelpfulHint) {
  EXPECT_EQ(MessageOf(Find("/x").status()), "etcd: snapshot path does not exist: /x");
  EXPECT_EQ(HintOf(Find("zipped-n-1").status()), "There is /snapshots/zipped-n-1.zip.");
  EXPECT_NE(HintOf(Find("nope").status()).find("stored-n-1"), std::string::npos);
}

TEST(S3Name, IsBucketFolderAndName) {
  const auto parse = [](const std::string& text) -> std::vector<std::string> {
    const auto name = ParseS3Name(text);
    if (!name.ok()) return {};
    return {name->bucket, name->folder, name->name};
  };
  using Parts = std::vector<std::string>;
  EXPECT_EQ(parse("s3://b/name"), (Parts{"b", "", "name"}));
  EXPECT_EQ(parse("s3://b/f/g/name-n-1.zip"), (Parts{"b", "f/g", "name-n-1.zip"}));
  for (const char* bad : {"s3://", "s3://b", "s3://b/", "s3:///x", "s3://b/f/", "/x", "b/x"})
    EXPECT_EQ(parse(bad), Parts{}) << bad;
}

TEST_F(FindSnapshotTest, DirectoriesAndNothingAreRefused) {
  EXPECT_EQ(MessageOf(Find("sub/").status()),
            "etcd: snapshot path must be a file, not a directory: /home/me/sub");
  EXPECT_EQ(Find("").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast
