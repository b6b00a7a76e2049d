#include "store/file_sink.h"

#include <gtest/gtest.h>

#include "testing/fault_fs.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

constexpr FileSink::Kind kKinds[] = {FileSink::Kind::kDurable, FileSink::Kind::kArchive,
                                     FileSink::Kind::kScratch};

class FileSinkTest : public ::testing::Test {
 protected:
  FileSinkTest() : file_(fs_.Create(dir_ / "f", 0600).value()) {}
  std::string Content() { return testing::ReadTestFile(dir_ / "f"); }

  testing::TempDir dir_;
  testing::FaultFs fs_{PosixFileSystem()};
  std::unique_ptr<File> file_;
};

TEST_F(FileSinkTest, OddPiecesArriveInOrderWhateverTheKind) {
  for (const FileSink::Kind kind : kKinds) {
    file_ = fs_.Create(dir_ / ("f" + std::to_string(static_cast<int>(kind))), 0600).value();
    FileSink sink(*file_, kind);
    const std::string text = testing::SampleText(5'000'001);
    ASSERT_TRUE(testing::WriteInPieces(sink, text).ok());
    EXPECT_EQ(sink.bytes(), text.size());
    ASSERT_TRUE(sink.Finish().ok());
    EXPECT_EQ(sink.bytes(), text.size());
    EXPECT_TRUE(testing::ReadTestFile(file_->path()) == text);
  }
}

TEST_F(FileSinkTest, AnArchiveTakesAlignedBlocksAsTheyAreAndGathersTheRest) {
  FileSink sink(*file_, FileSink::Kind::kArchive);
  AlignedBuffer block(2 * kAlignment);
  std::fill(block.bytes().begin(), block.bytes().end(), 'a');
  ASSERT_TRUE(sink.Write(block.bytes()).ok());
  ASSERT_TRUE(sink.Write(block.bytes().first(kAlignment + 1)).ok());
  ASSERT_TRUE(sink.Write(BytesOf("bc")).ok());
  ASSERT_TRUE(sink.Finish().ok());
  EXPECT_EQ(Content(), std::string(3 * kAlignment + 1, 'a') + "bc");
  const std::string f = dir_ / "f";
  EXPECT_EQ(fs_.trace(), (std::vector<std::string>{"create " + f, "write " + f + " 0+8192",
                                                   "write " + f + " 8192+4096",
                                                   "write " + f + " 12288+3", "sync " + f}));
}

TEST_F(FileSinkTest, ScratchIsNotSynced) {
  FileSink sink(*file_, FileSink::Kind::kScratch);
  ASSERT_TRUE(sink.Write(BytesOf("x")).ok());
  ASSERT_TRUE(sink.Finish().ok());
  EXPECT_EQ(fs_.trace().size(), 2u);
}

TEST_F(FileSinkTest, AFullDiskEndsTheStream) {
  FileSink sink(*file_, FileSink::Kind::kArchive);
  ASSERT_TRUE(sink.Write(BytesOf("held back")).ok());
  fs_.FailAt(1, ResourceExhaustedError("no space"), /*for_ever=*/true);
  EXPECT_TRUE(absl::IsResourceExhausted(sink.Finish()));
}

}  // namespace
}  // namespace holdfast
