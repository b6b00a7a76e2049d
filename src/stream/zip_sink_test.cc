#include "stream/zip_sink.h"

#include <archive.h>
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

constexpr char kName[] = "etcd-snapshot-server-0-1753178523";

ZipSinkOptions Options() {
  return {.entry_name = kName,
          .modified_at = absl::FromUnixSeconds(1753178523)};  // 2025-07-22T10:02:03Z
}

std::string Zipped(std::string_view text, ZipSinkOptions options = Options(), unsigned seed = 1) {
  StringSink out;
  ZipSink zip(out, std::move(options));
  EXPECT_TRUE(testing::WriteInPieces(zip, text, seed).ok());
  EXPECT_TRUE(zip.Finish().ok());
  EXPECT_TRUE(out.finished());
  return out.text();
}

StatusOr<std::string> Unzipped(std::string zip) {
  const StringAccess file(std::move(zip));
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(file));
  EXPECT_EQ(source->compression(), Compression::kZip);
  return ReadAll(*source);
}

// By libarchive from front to back, without the central directory.
std::string UnzippedWithoutSeeking(const std::string& zip) {
  archive* const a = archive_read_new();
  archive_read_support_format_zip_streamable(a);
  archive_entry* entry;
  std::string text;
  if (archive_read_open_memory(a, zip.data(), zip.size()) != ARCHIVE_OK ||
      archive_read_next_header(a, &entry) != ARCHIVE_OK) {
    text = "not opened";
  }
  char piece[1000];
  la_ssize_t n;
  while ((n = archive_read_data(a, piece, sizeof piece)) > 0)
    text.append(piece, static_cast<std::size_t>(n));
  if (n < 0) text = archive_error_string(a);
  archive_read_free(a);
  return text;
}

TEST(ZipSink, AnySizeInAnyPiecesComesBack) {
  unsigned seed = 0;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{127}, std::size_t{100'000}, kMiB - 1,
        std::size_t{kMiB}, kMiB + 1, 5 * kMiB}) {
    SCOPED_TRACE(size);
    const std::string text = SampleText(size, ++seed);
    EXPECT_TRUE(Unzipped(Zipped(text, Options(), seed)).value() == text);
  }
}

TEST(ZipSink, LocalHeaderIsTheOneOfGo) {
  // signature, version 2.0, flag 3 (descriptor), deflate, 10:02:02, 2025-07-22
  const std::string zip = Zipped("x");
  EXPECT_EQ(HexOf(BytesOf(zip.substr(0, 14))), "504b03041400080008004150f65a");
  // no CRC, no sizes, 33 bytes of name, 9 of extra fields
  EXPECT_EQ(HexOf(BytesOf(zip.substr(14, 16))), "00000000000000000000000021000900");
  // "UT", 5 bytes, modification time, 1753178523
  EXPECT_EQ(HexOf(BytesOf(zip.substr(30 + 33, 9))), "55540500019b617f68");
}

TEST(ZipSink, OtherReadersAgree) {
  const testing::TempDir dir;
  const std::string path = dir / "a.zip";
  const std::string text = SampleText(2 * kMiB + 7);
  const std::string zip = Zipped(text);
  testing::WriteTestFile(path, zip);
  EXPECT_TRUE(OutputOf("unzip -p " + path) == text);
  EXPECT_EQ(OutputOf("unzip -tqq " + path), "");
  EXPECT_EQ(OutputOf("python3 -c \"import zipfile; z = zipfile.ZipFile('" + path +
                     "'); i, = z.infolist(); print(z.testzip(), i.filename, i.date_time, "
                     "oct(i.external_attr >> 16), i.compress_type, i.file_size)\""),
            "None etcd-snapshot-server-0-1753178523 (2025, 7, 22, 10, 2, 2) 0o100600 8 2097159\n");
  EXPECT_TRUE(UnzippedWithoutSeeking(zip) == text);
}

TEST(ZipSink, NameBeyondAsciiIsMarkedAsUtf8) {
  const testing::TempDir dir;
  ZipSinkOptions options = Options();
  options.entry_name = "sauvegarde-é";
  const std::string zip = Zipped("x", options);
  EXPECT_EQ(Unzipped(zip).value(), "x");
  testing::WriteTestFile(dir / "a.zip", zip);
  EXPECT_EQ(OutputOf("PYTHONUTF8=1 python3 -m zipfile -l " + (dir / "a.zip") +
                     " | tail -1 | cut -d' ' -f1"),
            "sauvegarde-é\n");
}

TEST(ZipSink, NameThatIsNoFileNameIsRefused) {
  for (const char* name : {"", "..", "a/b", "/a", "a\\b"}) {
    StringSink out;
    ZipSinkOptions options = Options();
    options.entry_name = name;
    EXPECT_EQ(ZipSink(out, options).Write({}).code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST(ZipSink, Zip64FormsAreReadByAll) {
  const testing::TempDir dir;
  const std::string path = dir / "a.zip";
  const std::string text = SampleText(100'000);
  for (const bool announced : {true, false}) {
    // All sizes and offsets; those of the uncompressed size only.
    for (const std::uint64_t zip64_from : {std::uint64_t{0}, std::uint64_t{100'000}}) {
      SCOPED_TRACE(::testing::Message() << announced << " " << zip64_from);
      ZipSinkOptions options = Options();
      options.uncompressed_size_max = announced ? 100'000 : 0;
      options.zip64_from = zip64_from;
      const std::string zip = Zipped(text, options);
      EXPECT_TRUE(Unzipped(zip).value() == text);
      // The descriptor's width is known from the local header only if that was announced (zip64_from 0: everything is).
      if (announced || zip64_from == 0) {
        EXPECT_TRUE(UnzippedWithoutSeeking(zip) == text);
      }
      testing::WriteTestFile(path, zip);
      EXPECT_TRUE(OutputOf("unzip -p " + path) == text);
      EXPECT_EQ(OutputOf("python3 -c \"import zipfile; print(zipfile.ZipFile('" + path +
                         "').testzip())\""),
                "None\n");
    }
  }
}

TEST(ZipSink, FourGiBOfZerosComeBack) {
  const std::uint64_t size = 4 * kGiB + 1;
  ZipSinkOptions options = Options();
  options.uncompressed_size_max = size;
  StringSink out;
  ZipSink zip(out, options);
  testing::RepeatSource zeros(size, 0);
  std::vector<std::uint8_t> block(kMiB);
  for (std::size_t n; (n = zeros.Read(block).value()) > 0;) {
    ASSERT_TRUE(zip.Write(ByteSpan(block).first(n)).ok());
  }
  ASSERT_TRUE(zip.Finish().ok());
  const StringAccess file(out.text());
  const auto source = OpenDecompressed(file).value();
  EXPECT_EQ(source->size(), size);
  std::uint64_t bytes = 0;
  for (std::size_t n; (n = source->Read(block).value()) > 0;) bytes += n;
  EXPECT_EQ(bytes, size);
}

TEST(ZipSink, ErrorOfTheSinkBehindIsReturned) {
  class FullSink final : public Sink {
   public:
    Status Write(ByteSpan) override { return ResourceExhaustedError("full"); }
    Status Finish() override { return OkStatus(); }
  };
  FullSink full;
  EXPECT_EQ(MessageOf(ZipSink(full, Options()).Write(BytesOf("x"))), "full");
}

}  // namespace
}  // namespace holdfast
