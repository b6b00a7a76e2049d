#include "stream/decompress.h"

#include <gtest/gtest.h>

#include "base/endian.h"
#include "stream/memory.h"
#include "stream/zip_sink.h"
#include "stream/zstd_sink.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::OutputOf;
using testing::SampleText;

constexpr std::string_view kLocal = "PK\3\4", kCentral = "PK\1\2", kEnd = "PK\5\6";

StatusOr<std::string> Decompressed(std::string bytes, std::size_t piece_size = 64 * kKiB) {
  const StringAccess file(std::move(bytes), "/x/y");
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(file));
  return testing::ReadAll(*source, piece_size);
}

std::string Zipped(std::string_view text) {
  StringSink out;
  ZipSink zip(out, {.entry_name = "snapshot", .modified_at = absl::UnixEpoch()});
  EXPECT_TRUE(zip.Write(BytesOf(text)).ok());
  EXPECT_TRUE(zip.Finish().ok());
  return out.text();
}

std::string Zstd(std::string_view text) {
  StringSink out;
  ZstdSink zstd(out, {.content_size = text.size()});
  EXPECT_TRUE(zstd.Write(BytesOf(text)).ok());
  EXPECT_TRUE(zstd.Finish().ok());
  return out.text();
}

// `bytes` with `value` stored at `offset` within the record that begins with `signature` (the last such record).
template <std::unsigned_integral T>
std::string Patched(std::string bytes, std::string_view signature, std::size_t offset, T value) {
  const std::size_t at = bytes.rfind(signature) + offset;
  StoreLittle(reinterpret_cast<std::uint8_t*>(bytes.data()) + at, value);
  return bytes;
}

void ExpectLayoutError(const StatusOr<std::string>& result, std::string_view found) {
  EXPECT_EQ(MessageOf(result.status()), fmt::format("{}: /x/y {}", kUnexpectedContents, found));
  EXPECT_EQ(result.status().code(), StatusCode::kDataLoss);
}

void ExpectBroken(const StatusOr<std::string>& result, std::string_view message) {
  EXPECT_EQ(MessageOf(result.status()), fmt::format("/x/y: {}", message));
  EXPECT_EQ(result.status().code(), StatusCode::kDataLoss);
}

// Every damage must give a status, or leave the content as it is. (Without its signature it counts as plain bytes.)
void ExpectNoFlipGoesUnnoticed(const std::string& bytes, const std::string& text) {
  for (std::size_t i = 4; i < bytes.size(); ++i) {
    for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      const auto result = Decompressed(damaged);
      EXPECT_TRUE(!result.ok() || *result == text) << "byte " << i << " flipped by " << mask;
    }
  }
}

TEST(Decompress, PlainBytesPassThrough) {
  for (const std::string& text :
       {std::string(), std::string("PK"), std::string("no archive"), SampleText(kMiB + 1)}) {
    EXPECT_TRUE(Decompressed(text, 1000).value() == text);
  }
  const StringAccess file("hello");
  const auto source = OpenDecompressed(file).value();
  EXPECT_EQ(source->compression(), Compression::kNone);
  EXPECT_EQ(source->size(), 5u);
}

TEST(Decompress, CallerCanStopAnywhere) {
  for (const std::string& bytes : {Zipped(SampleText(kMiB)), Zstd(SampleText(kMiB))}) {
    const StringAccess file(bytes);
    const auto source = OpenDecompressed(file).value();
    EXPECT_EQ(source->size(), kMiB);
    std::uint8_t byte;
    EXPECT_EQ(source->Read({&byte, 1}).value(), 1u);
  }
}

TEST(Decompress, ReadErrorOfTheFileIsReturned) {
  class BadFile final : public RandomAccess {
   public:
    explicit BadFile(std::string text) : good_(std::move(text)) {}
    const std::string& path() const override { return good_.path(); }
    StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
      if (broken) return DataLossError("I/O error");
      return good_.ReadAt(offset, out);
    }
    StatusOr<std::uint64_t> Size() const override { return good_.Size(); }
    bool broken = false;

   private:
    StringAccess good_;
  };
  const std::string noise = SampleText(8 * kMiB);
  for (const std::string& bytes : {noise, Zipped(noise), Zstd(noise)}) {
    BadFile file(bytes);
    const auto source = OpenDecompressed(file).value();
    file.broken = true;
    EXPECT_EQ(MessageOf(testing::ReadAll(*source).status()), "I/O error");
  }
}

// -- Zips of other writers.

class ForeignZip : public ::testing::Test {
 protected:
  // What `script`, with Python's zipfile at hand, writes to the file `path`.
  std::string ByPython(const std::string& script) {
    const std::string path = dir_ / "a.zip";
    testing::WriteTestFile(dir_ / "make.py",
                           "import io, sys\nfrom zipfile import *\npath = sys.argv[1]\n" + script);
    EXPECT_EQ(OutputOf("python3 -W ignore " + (dir_ / "make.py") + " " + path), "");
    return testing::ReadTestFile(path);
  }
  // A zip with entries of these names, as Python would write them in turn.
  std::string WithEntries(const std::string& python_list) {
    return ByPython("with ZipFile(path, 'w', ZIP_DEFLATED) as z:\n  for name in " + python_list +
                    ": z.writestr(name, 'hello')\n");
  }
  testing::TempDir dir_;
};

TEST_F(ForeignZip, PlainFormsAreRead) {
  const std::string text = SampleText(100'000);
  testing::WriteTestFile(dir_ / "snapshot", text);
  const std::string add = "z.write('" + (dir_ / "snapshot") + "', 'snapshot')\n";
  for (const char* method : {"ZIP_STORED", "ZIP_DEFLATED"}) {
    SCOPED_TRACE(method);
    const std::string open = "ZipFile(path, 'w', " + std::string(method) + ")";
    EXPECT_TRUE(Decompressed(ByPython("with " + open + " as z: " + add)).value() == text);
    // To a pipe: with a descriptor, as Go does.
    EXPECT_TRUE(Decompressed(ByPython("class Pipe(io.RawIOBase):\n"
                                      "  f = open(path, 'wb')\n"
                                      "  def writable(self): return True\n"
                                      "  def write(self, b): return self.f.write(b)\n"
                                      "with ZipFile(Pipe(), 'w', " +
                                      std::string(method) + ") as z: " + add))
                    .value() == text);
    // zip64 sizes that would not be needed.
    EXPECT_TRUE(
        Decompressed(ByPython("with " + open +
                              " as z:\n  with z.open('snapshot', 'w', force_zip64=True) as f: "
                              "f.write(open('" +
                              (dir_ / "snapshot") + "', 'rb').read())\n"))
            .value() == text);
  }
  EXPECT_EQ(
      OutputOf("cd " + dir_.path() + " && zip -q9 b.zip snapshot && zip -q - snapshot > c.zip"),
      "");
  EXPECT_TRUE(Decompressed(testing::ReadTestFile(dir_ / "b.zip")).value() == text);
  EXPECT_TRUE(Decompressed(testing::ReadTestFile(dir_ / "c.zip")).value() == text);
}

TEST_F(ForeignZip, OnlyOneEntryIsAccepted) {
  ExpectLayoutError(Decompressed(WithEntries("['a', 'b']")), "holds 2 entries, expected exactly 1");
  ExpectLayoutError(Decompressed(WithEntries("['a', 'a']")), "holds 2 entries, expected exactly 1");
  StringSink out;
  ZipSink zip64(out, {.entry_name = "a", .modified_at = absl::UnixEpoch(), .zip64_from = 0});
  ASSERT_TRUE(zip64.Finish().ok());
  const std::string many = Patched<std::uint16_t>(out.text(), kEnd, 10, kZip16Max);
  ExpectLayoutError(Decompressed(Patched<std::uint64_t>(many, "PK\6\6", 32, 70'000)),
                    "holds 70000 entries, expected exactly 1");
}

TEST_F(ForeignZip, OnlyARegularFileInNoDirectoryIsAccepted) {
  ExpectLayoutError(Decompressed(WithEntries("['a/b']")),
                    "holds \"a/b\", which is no plain file name");
  ExpectLayoutError(Decompressed(WithEntries("['/etc/passwd']")),
                    "holds \"/etc/passwd\", which is no plain file name");
  ExpectLayoutError(Decompressed(WithEntries("['../a']")),
                    "holds \"../a\", which is no plain file name");
  ExpectLayoutError(Decompressed(WithEntries("['..']")),
                    "holds \"..\", which is no plain file name");
  ExpectLayoutError(Decompressed(WithEntries(R"(['a\\b'])")),
                    R"(holds "a\x5cb", which is no plain file name)");
  ExpectLayoutError(Decompressed(WithEntries("['a/']")), "holds \"a/\", which is no regular file");
  EXPECT_EQ(OutputOf("cd " + dir_.path() + " && ln -s /etc/passwd link && zip -qy link.zip link"),
            "");
  ExpectLayoutError(Decompressed(testing::ReadTestFile(dir_ / "link.zip")),
                    "holds \"link\", which is no regular file");
}

TEST_F(ForeignZip, OnlyPlainDeflateIsAccepted) {
  testing::WriteTestFile(dir_ / "a", "hello");
  EXPECT_EQ(OutputOf("cd " + dir_.path() + " && zip -qP secret b.zip a"), "");
  ExpectLayoutError(Decompressed(testing::ReadTestFile(dir_ / "b.zip")), "is encrypted");
  ExpectLayoutError(
      Decompressed(ByPython("with ZipFile(path, 'w', ZIP_BZIP2) as z: z.writestr('a', 'hello')\n")),
      "is compressed by method 12, expected deflate");
}

TEST_F(ForeignZip, BytesThatBelongToNothingAreRefused) {
  const std::string zip = Zipped("hello");
  const std::size_t directory = zip.rfind(kCentral);
  ExpectBroken(Decompressed(zip + "x"),
               "no zip end record in its last 22 bytes: truncated, or something follows");
  ExpectBroken(Decompressed(Patched<std::uint16_t>(zip, kEnd, 20, 1) + "x"),
               "no zip end record in its last 22 bytes: truncated, or something follows");
  std::string gap = zip;
  gap.insert(directory, 30, 'x');
  ExpectBroken(Decompressed(Patched<std::uint32_t>(gap, kEnd, 16,
                                                   static_cast<std::uint32_t>(directory + 30))),
               "46 bytes between the data and the central directory");
  // Four bytes before it, and the offsets moved by four.
  std::string shifted = Patched<std::uint32_t>(std::string(kLocal) + zip, kCentral, 42, 4);
  shifted = Patched<std::uint32_t>(shifted, kEnd, 16, static_cast<std::uint32_t>(directory + 4));
  ExpectLayoutError(Decompressed(shifted), "has 4 bytes before its entry");
  EXPECT_EQ(Decompressed(zip + zip).status().code(), StatusCode::kDataLoss);
}

// -- Central directories that lie.

TEST(LyingZip, EntryCountMustBeThatOfTheDirectory) {
  testing::TempDir dir;
  EXPECT_EQ(OutputOf("cd " + dir.path() + " && echo 1 > a && echo 2 > b && zip -q c.zip a b"), "");
  const std::string two = testing::ReadTestFile(dir / "c.zip");
  ExpectBroken(Decompressed(Patched<std::uint16_t>(two, kEnd, 10, 1)),
               "central directory of 142 bytes, but its one entry has 71");
  ExpectLayoutError(Decompressed(Patched<std::uint16_t>(Zipped("x"), kEnd, 10, 0)),
                    "holds 0 entries, expected exactly 1");
}

TEST(LyingZip, DirectoryMustLieWhereTheEndRecordSays) {
  const std::string zip = Zipped("hello");
  const auto directory = static_cast<std::uint32_t>(zip.rfind(kCentral));
  const auto expect_refused_at = [&zip](std::uint32_t offset, std::uint32_t size) {
    const std::string lying = Patched(Patched(zip, kEnd, 16, offset), kEnd, 12, size);
    EXPECT_EQ(Decompressed(lying).status().code(), StatusCode::kDataLoss) << offset << " " << size;
  };
  const auto size = static_cast<std::uint32_t>(zip.rfind(kEnd)) - directory;
  expect_refused_at(directory - 1, size);
  expect_refused_at(directory - 1, size + 1);
  expect_refused_at(directory + size - 1, 1);
  expect_refused_at(directory, 0xfffffff0);
  expect_refused_at(0xfffffffe, size);
  expect_refused_at(kZip32Max, size);  // leads to zip64 records that are not there
}

TEST(LyingZip, PlantedZip64RecordsMustAgree) {
  // In the comment of the entry, right before the end record: records that lead to no directory, or to another.
  const std::string zip = Zipped("hello");
  const std::size_t directory = zip.rfind(kCentral), end = zip.rfind(kEnd);
  std::string planted =
      std::string("PK\6\6", 4) + std::string(52, '\0') + "PK\6\7" + std::string(16, '\0');
  planted = Patched<std::uint64_t>(planted, "PK\6\7", 8, end);
  planted = Patched<std::uint64_t>(planted, "PK\6\6", 32, 1);
  std::string lying = zip.substr(0, end) + planted + zip.substr(end);
  lying = Patched<std::uint16_t>(lying, kCentral, 32, 76);  // the length of the comment
  lying = Patched<std::uint32_t>(lying, kEnd, 12, static_cast<std::uint32_t>(end + 76 - directory));
  ExpectBroken(Decompressed(lying), fmt::format("the zip64 end records at {} do not fit", end));
}

TEST(LyingZip, LocalHeaderMustAgree) {
  const std::string zip = Zipped("hello");
  const auto expect_refused_with = [&zip](std::size_t offset, auto value) {
    ExpectBroken(Decompressed(Patched(zip, kLocal, offset, value)),
                 "local and central header of \"snapshot\" differ");
  };
  expect_refused_with(6, std::uint16_t{9});    // flags: encrypted
  expect_refused_with(8, std::uint16_t{0});    // method
  expect_refused_with(14, std::uint32_t{1});   // CRC
  expect_refused_with(18, std::uint32_t{1});   // compressed size
  expect_refused_with(22, std::uint32_t{6});   // size
  expect_refused_with(22, kZip32Max);          // size in a zip64 extra field that is not there
  expect_refused_with(26, std::uint16_t{7});   // name length
  expect_refused_with(30, std::uint8_t{'x'});  // name
}

TEST(LyingZip, SizesAndCrcMustBeThoseOfTheData) {
  const std::string zip = Zipped(SampleText(1000));
  for (const std::uint32_t size : {0u, 1u, 999u, 1001u, 0xfffffffeu}) {
    EXPECT_EQ(Decompressed(Patched(zip, kCentral, 24, size)).status().code(), StatusCode::kDataLoss)
        << size;
  }
  EXPECT_EQ(Decompressed(Patched(zip, kCentral, 20, 0xfffffff0u)).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(Decompressed(Patched(zip, kCentral, 16, 5u)).status().code(), StatusCode::kDataLoss);
}

TEST(LyingZip, BombEndsAtTheSizeItClaims) {
  const std::string zip = Zipped(std::string(100 * kMiB, '\0'));
  EXPECT_LT(zip.size(), kMiB);
  const StringAccess file(Patched(zip, kCentral, 24, 1000u));
  const auto source = OpenDecompressed(file).value();
  std::string block(kMiB, '\0');
  EXPECT_EQ(
      source->Read({reinterpret_cast<std::uint8_t*>(block.data()), block.size()}).status().code(),
      StatusCode::kDataLoss);
}

// -- Damage.

TEST(DamagedZip, TruncationIsNoticedEverywhere) {
  const std::string zip = Zipped(SampleText(50'000));
  for (std::size_t size = 4; size < zip.size(); size += size < 100 ? 1 : 100) {
    const auto result = Decompressed(zip.substr(0, size));
    EXPECT_EQ(result.status().code(), StatusCode::kDataLoss) << size;
  }
}

TEST(DamagedZip, NoFlippedByteGoesUnnoticed) {
  const std::string text = SampleText(1000);
  ExpectNoFlipGoesUnnoticed(Zipped(text), text);
}

TEST(DamagedZip, GarbageBehindTheSignatureIsAnError) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    EXPECT_FALSE(Decompressed(std::string(kLocal) + SampleText(1000, seed)).ok());
  }
}

TEST(DamagedZstd, TruncationIsNoticedEverywhere) {
  const std::string zstd = Zstd(SampleText(50'000));
  for (std::size_t size = 4; size < zstd.size(); size += size < 100 ? 1 : 100) {
    const auto result = Decompressed(zstd.substr(0, size));
    EXPECT_EQ(result.status().code(), StatusCode::kDataLoss) << size;
  }
}

TEST(DamagedZstd, NoFlippedByteGoesUnnoticed) {
  const std::string text = SampleText(1000);
  ExpectNoFlipGoesUnnoticed(Zstd(text), text);
}

TEST(Zstd, SeveralFramesAreOneStream) {
  const std::string a = SampleText(300'000, 1), b = SampleText(70'000, 2);
  EXPECT_TRUE(Decompressed(Zstd(a) + Zstd("") + Zstd(b), 777).value() == a + b);
}

TEST(Zstd, WhatFollowsTheFramesMustBeAFrame) {
  const std::string zstd = Zstd("hello");
  for (const std::string_view tail : {"x", "\x28\xb5\x2f", "garbage", "PK\3\4"}) {
    ExpectBroken(Decompressed(zstd + std::string(tail)),
                 fmt::format("what follows the zstd frames at {} is no zstd frame", zstd.size()));
  }
  // A frame that says nothing (RFC 8878 3.1.2), and the start of one that would.
  EXPECT_FALSE(Decompressed(zstd + std::string("\x50\x2a\x4d\x18\0\0\0\0", 8)).ok());
  EXPECT_FALSE(Decompressed(zstd + zstd.substr(0, 7)).ok());
}

TEST(Zstd, HugeWindowIsRefused) {
  // RFC 8878 3.1.1.1: no content size, no checksum; window exponent 18 is 2^28, 31 the largest.
  for (const int exponent : {18, 31}) {
    const std::string frame = std::string("\x28\xb5\x2f\xfd\0", 5) +
                              static_cast<char>(exponent << 3) + std::string(100, 'x');
    ExpectLayoutError(Decompressed(frame), "needs a zstd window above 128 MiB");
  }
}

TEST(Zstd, FramesOfTheCommandLineToolAreRead) {
  testing::TempDir dir;
  const std::string text = SampleText(3 * kMiB);
  testing::WriteTestFile(dir / "a", text);
  EXPECT_EQ(OutputOf("cd " + dir.path() +
                     " && zstd -q -19 --long=27 a && zstd -q --no-check < a > b.zst"),
            "");
  EXPECT_TRUE(Decompressed(testing::ReadTestFile(dir / "a.zst")).value() == text);
  EXPECT_TRUE(Decompressed(testing::ReadTestFile(dir / "b.zst")).value() == text);
}

}  // namespace
}  // namespace holdfast
