#include "stream/zstd_sink.h"

#include <gtest/gtest.h>

#include "stream/decompress.h"
#include "stream/memory.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::OutputOf;
using testing::ReadAll;
using testing::SampleText;

std::string Compressed(std::string_view text, const ZstdSinkOptions& options = {},
                       unsigned seed = 1) {
  StringSink out;
  ZstdSink zstd(out, options);
  EXPECT_TRUE(testing::WriteInPieces(zstd, text, seed).ok());
  EXPECT_TRUE(zstd.Finish().ok());
  EXPECT_TRUE(out.finished());
  return out.text();
}

TEST(ZstdSink, AnySizeInAnyPiecesComesBack) {
  unsigned seed = 0;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kMiB - 1, std::size_t{kMiB}, kMiB + 1, 5 * kMiB}) {
    SCOPED_TRACE(size);
    const std::string text = SampleText(size, ++seed);
    const StringAccess file(Compressed(text, {}, seed));
    const auto source = OpenDecompressed(file).value();
    EXPECT_EQ(source->compression(), Compression::kZstd);
    EXPECT_TRUE(ReadAll(*source, 1 + seed * 1000).value() == text);
  }
}

TEST(ZstdSink, ZstdItselfReadsItAndSeesSizeAndChecksum) {
  const testing::TempDir dir;
  const std::string path = dir / "a.zst";
  const std::string text = SampleText(1'000'000);
  testing::WriteTestFile(path, Compressed(text, {.content_size = text.size()}));
  EXPECT_TRUE(OutputOf("zstd -dc " + path) == text);
  const std::string listing = OutputOf("zstd -lv " + path);
  EXPECT_NE(listing.find("(1000000 B)"), std::string::npos) << listing;
  EXPECT_NE(listing.find("Check: XXH64"), std::string::npos) << listing;
  const StringAccess file(testing::ReadTestFile(path));
  EXPECT_EQ(OpenDecompressed(file).value()->size(), 1'000'000u);
}

TEST(ZstdSink, UnknownSizeStaysUnknown) {
  const StringAccess file(Compressed("hello"));
  EXPECT_EQ(OpenDecompressed(file).value()->size(), std::nullopt);
}

TEST(ZstdSink, MoreThanAnnouncedIsAnError) {
  StringSink out;
  ZstdSink zstd(out, {.content_size = 3});
  EXPECT_TRUE(zstd.Write(BytesOf("abc")).ok());
  EXPECT_EQ(zstd.Write(BytesOf("d")).code(), StatusCode::kDataLoss);
}

TEST(ZstdSink, LessThanAnnouncedIsAnErrorAndTheSinkBehindIsNotFinished) {
  StringSink out;
  ZstdSink zstd(out, {.content_size = 3});
  EXPECT_TRUE(zstd.Write(BytesOf("ab")).ok());
  EXPECT_EQ(MessageOf(zstd.Finish()), "compress: 2 bytes came, 3 were announced");
  EXPECT_FALSE(out.finished());
}

}  // namespace
}  // namespace holdfast
