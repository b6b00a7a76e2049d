#include "os/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/aligned_buffer.h"
#include "os/atomic_file.h"
#include "testing/memory_fs.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

class PosixFileSystemTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(fs_.Create(path, 0600)->get()->WriteAt(0, BytesOf(text)).ok());
  }
  FileSystem& fs_ = PosixFileSystem();
  testing::TempDir dir_;
};

TEST_F(PosixFileSystemTest, ModesDoNotDependOnTheUmask) {
  const mode_t old = ::umask(0077);
  ASSERT_TRUE(fs_.Create(dir_ / "f", 0644).ok());
  ASSERT_TRUE(MakeDirectories(fs_, dir_ / "a/b", 0755).ok());
  ::umask(old);
  EXPECT_EQ(fs_.Stat(dir_ / "f")->mode, 0644u);
  EXPECT_EQ(fs_.Stat(dir_ / "a")->mode, 0755u);
  EXPECT_EQ(fs_.Stat(dir_ / "a/b")->mode, 0755u);
}

TEST_F(PosixFileSystemTest, ALinkIsASecondNameAndReplacesNothing) {
  Write(dir_ / "f", "one");
  ASSERT_TRUE(fs_.Link(dir_ / "f", dir_ / "g").ok());
  ASSERT_TRUE(fs_.RemoveFile(dir_ / "f").ok());
  EXPECT_EQ(ReadFile(fs_, dir_ / "g", 100).value(), "one");
  Write(dir_ / "f", "two");
  EXPECT_TRUE(absl::IsAlreadyExists(fs_.Link(dir_ / "f", dir_ / "g")));
  EXPECT_EQ(ReadFile(fs_, dir_ / "g", 100).value(), "one");
}

TEST_F(PosixFileSystemTest, OwnersAreCopied) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Write(dir_ / "from", "");
  Write(dir_ / "to", "");
  ASSERT_EQ(::chown((dir_ / "from").c_str(), 1234, 4321), 0);
  ASSERT_TRUE(fs_.CopyOwner(dir_ / "from", dir_ / "to").ok());
  struct stat st;
  ASSERT_EQ(::stat((dir_ / "to").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 1234u);
  EXPECT_EQ(st.st_gid, 4321u);
}

TEST_F(PosixFileSystemTest, MakeDirectoriesRefusesAFileInTheWay) {
  Write(dir_ / "f", "");
  EXPECT_EQ(MessageOf(MakeDirectories(fs_, dir_ / "f", 0700)),
            (dir_ / "f") + " is not a directory");
}

TEST_F(PosixFileSystemTest, ReadAtIsShortOnlyAtTheEnd) {
  Write(dir_ / "f", "hello");
  const auto file = fs_.OpenForRead(dir_ / "f").value();
  std::uint8_t out[4];
  EXPECT_EQ(file->ReadAt(0, out).value(), 4u);
  EXPECT_EQ(file->ReadAt(3, out).value(), 2u);
  EXPECT_EQ(file->ReadAt(9, out).value(), 0u);
}

TEST_F(PosixFileSystemTest, DirectAndUsualWritesMakeOneFile) {
  const auto file = fs_.Create(dir_ / "f", 0600).value();
  file->WriteDirectly();
  AlignedBuffer block(2 * kAlignment);
  std::fill(block.bytes().begin(), block.bytes().end(), 'a');
  ASSERT_TRUE(file->WriteAt(0, block.bytes()).ok());
  ASSERT_TRUE(file->WriteAt(block.bytes().size(), BytesOf("tail")).ok());
  std::fill(block.bytes().begin(), block.bytes().end(), 'b');
  ASSERT_TRUE(file->WriteAt(kAlignment, block.bytes().first(kAlignment)).ok());
  ASSERT_TRUE(file->WriteAt(1, BytesOf("x")).ok());
  ASSERT_TRUE(file->Sync().ok());
  std::string expected = std::string(kAlignment, 'a') + std::string(kAlignment, 'b') + "tail";
  expected[1] = 'x';
  EXPECT_EQ(ReadFile(fs_, dir_ / "f", 1 * kMiB).value(), expected);
  std::uint8_t out[4];
  EXPECT_EQ(file->ReadAt(2 * kAlignment, out).value(), 4u);
}

TEST_F(PosixFileSystemTest, ExchangeSwapsAndNoReplaceRefuses) {
  Write(dir_ / "a", "A");
  Write(dir_ / "b", "B");
  ASSERT_TRUE(fs_.Exchange(dir_ / "a", dir_ / "b").ok());
  EXPECT_EQ(ReadFile(fs_, dir_ / "a", 9).value(), "B");
  EXPECT_TRUE(absl::IsAlreadyExists(fs_.RenameNoReplace(dir_ / "a", dir_ / "b")));
  EXPECT_TRUE(fs_.RenameNoReplace(dir_ / "a", dir_ / "c").ok());
}

TEST_F(PosixFileSystemTest, TreesAreCopiedWithModesAndTimesAndRemoved) {
  ASSERT_TRUE(MakeDirectories(fs_, dir_ / "t/sub", 0700).ok());
  Write(dir_ / "t/sub/f", "x");
  const absl::Time time = absl::FromUnixSeconds(1000000000);
  ASSERT_TRUE(fs_.SetModified(dir_ / "t/sub/f", time).ok());
  ASSERT_TRUE(CopyTree(fs_, dir_ / "t", dir_ / "u").ok());
  EXPECT_EQ(fs_.Stat(dir_ / "u/sub/f")->modified_at, time);
  EXPECT_EQ(fs_.Stat(dir_ / "u/sub/f")->mode, 0600u);
  ASSERT_TRUE(RemoveTree(fs_, dir_ / "t").ok());
  EXPECT_FALSE(Exists(fs_, dir_ / "t").value());
  EXPECT_TRUE(RemoveTree(fs_, dir_ / "t").ok());
}

TEST_F(PosixFileSystemTest, ACopyHoldsWhatItsLinksLeadTo) {
  ASSERT_TRUE(MakeDirectories(fs_, dir_ / "t", 0700).ok());
  Write(dir_ / "real", "content");
  ASSERT_TRUE(fs_.MakeSymlink(dir_ / "real", dir_ / "t/link").ok());
  ASSERT_TRUE(fs_.MakeSymlink(dir_ / "nowhere", dir_ / "t/dangling").ok());
  ASSERT_TRUE(fs_.MakeSymlink(dir_ / "t", dir_ / "t/circle").ok());
  ASSERT_TRUE(CopyTree(fs_, dir_ / "t", dir_ / "u").ok());
  const auto entries = fs_.List(dir_ / "u").value();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].info.kind, FileKind::kFile);
  EXPECT_EQ(entries[0].info.mode, 0600u);
  EXPECT_EQ(ReadFile(fs_, dir_ / "u/link", 100).value(), "content");
  // Links are not followed when a tree is removed.
  ASSERT_TRUE(RemoveTree(fs_, dir_ / "t").ok());
  EXPECT_TRUE(Exists(fs_, dir_ / "real").value());
}

TEST_F(PosixFileSystemTest, ACopySurvivesAPowerCut) {
  testing::MemoryFs fs;
  ASSERT_TRUE(MakeDirectories(fs, "/t/sub", 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(fs, "/t/sub/f", "x", 0600).ok());
  ASSERT_TRUE(CopyTree(fs, "/t", "/u").ok());
  ASSERT_TRUE(fs.SyncDirectory("/").ok());
  const auto after = fs.Crash(testing::Loss::kUnsynced);
  EXPECT_EQ(ReadFile(*after, "/u/sub/f", 100).value(), "x");
}

TEST_F(PosixFileSystemTest, LockIsExclusive) {
  const auto first = fs_.OpenOrCreate(dir_ / "lock", 0600).value();
  const auto second = fs_.OpenOrCreate(dir_ / "lock", 0600).value();
  EXPECT_TRUE(first->TryLock().ok());
  EXPECT_TRUE(absl::IsAborted(second->TryLock()));
}

TEST_F(PosixFileSystemTest, ReadFileRefusesWhatIsTooLarge) {
  Write(dir_ / "f", "123456");
  EXPECT_EQ(ReadFile(fs_, dir_ / "f", 5).status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace holdfast
