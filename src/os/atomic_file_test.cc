#include "os/atomic_file.h"

#include <gtest/gtest.h>

#include "testing/temp_dir.h"

namespace holdfast {
namespace {

class AtomicFileTest : public ::testing::Test {
 protected:
  FileSystem& fs_ = PosixFileSystem();
  testing::TempDir dir_;
  std::string path_ = dir_ / "x";
  std::string Content() { return ReadFile(fs_, path_, 100).value(); }
  std::size_t Files() { return fs_.List(dir_.path())->size(); }
};

TEST_F(AtomicFileTest, AppearsOnlyAtCommit) {
  auto file = AtomicFile::Create(fs_, path_, 0600).value();
  ASSERT_TRUE(file.file().WriteAt(0, BytesOf("new")).ok());
  EXPECT_FALSE(Exists(fs_, path_).value());
  ASSERT_TRUE(file.Commit().ok());
  EXPECT_EQ(Content(), "new");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(AtomicFileTest, AbandonedLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(fs_, path_, "old", 0600).ok());
  {
    auto file = AtomicFile::Create(fs_, path_, 0600).value();
    ASSERT_TRUE(file.file().WriteAt(0, BytesOf("new")).ok());
  }
  EXPECT_EQ(Content(), "old");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(AtomicFileTest, LeftoverOfAKilledRunIsReplaced) {
  ASSERT_TRUE(
      fs_.Create(path_ + ".part", 0644)->get()->WriteAt(0, BytesOf("a longer leftover")).ok());
  ASSERT_TRUE(WriteFileAtomically(fs_, path_, "new", 0600).ok());
  EXPECT_EQ(Content(), "new");
  EXPECT_EQ(fs_.Stat(path_)->mode, 0600u);
}

TEST_F(AtomicFileTest, CommitNewDoesNotReplace) {
  ASSERT_TRUE(WriteFileAtomically(fs_, path_, "old", 0600).ok());
  auto file = AtomicFile::Create(fs_, path_, 0600).value();
  EXPECT_TRUE(absl::IsAlreadyExists(file.CommitNew()));
  EXPECT_EQ(Content(), "old");
}

TEST_F(AtomicFileTest, ErrorNamesThePath) {
  const auto file = AtomicFile::Create(fs_, dir_ / "missing/x", 0600);
  EXPECT_EQ(MessageOf(file.status()),
            "create " + (dir_ / "missing/x.part") + ": no such file or directory");
}

}  // namespace
}  // namespace holdfast
