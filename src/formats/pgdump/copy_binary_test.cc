#include "formats/pgdump/copy_binary.h"

#include <gtest/gtest.h>

namespace holdfast::pgdump {
namespace {

std::string Big(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Field(std::string_view bytes) { return Big(bytes.size(), 4) + std::string(bytes); }
const std::string kNull = Big(0xffffffff, 4);
const std::string kStart = std::string("PGCOPY\n\xff\r\n\0", 11) + Big(0, 8);
const std::string kEnd = Big(0xffff, 2);

std::string Row(std::int64_t id, std::string_view name, int width, const std::string& value,
                const std::string& old_value) {
  const auto number = [&](std::int64_t n) {
    return Field(Big(static_cast<std::uint64_t>(n), width));
  };
  return Big(9, 2) + number(id) + Field(name) + number(1) + number(0) + number(id) + number(-2) +
         number(7) + value + old_value;
}

struct Recorder final : KineRowEvents {
  Status OnRow(const KineRow& row) override {
    text += fmt::format("{} {} {} {} {} {} {} [", row.id, row.name, row.created, row.deleted,
                        row.create_revision, row.prev_revision, row.lease);
    return OkStatus();
  }
  Status OnValue(ByteSpan piece) override {
    text.append(TextOf(piece));
    return OkStatus();
  }
  Status OnOldValue(ByteSpan piece) override {
    text.append("~").append(TextOf(piece));
    return OkStatus();
  }
  Status OnRowEnd(bool has_old_value) override {
    text += has_old_value ? "] old\n" : "]\n";
    return OkStatus();
  }
  std::string text;
};

Status ReadIn(std::string_view copy, std::size_t piece, Recorder& recorder) {
  KineCopyReader reader(recorder);
  for (std::size_t at = 0; at < copy.size(); at += piece)
    RETURN_IF_ERROR(reader.Write(BytesOf(copy.substr(at, piece))));
  return reader.Finish();
}

TEST(KineCopy, RowsComeInPiecesOfAnySizeAndWidth) {
  const std::string copy = kStart + Row(1, "/a", 8, Field(std::string_view("v\0\xff", 3)), kNull) +
                           Row(2, "", 4, Field(""), Field("o")) +
                           Row(3, "/c", 8, kNull, Field("")) + kEnd;
  for (const std::size_t piece : {1, 3, 19, 4096}) {
    Recorder recorder;
    const Status status = ReadIn(copy, piece, recorder);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(recorder.text, std::string("1 /a 1 0 1 -2 7 [v\0\xff]\n", 22) +
                                 "2  1 0 2 -2 7 [~o] old\n3 /c 1 0 3 -2 7 [] old\n");
  }
}

TEST(KineCopy, AnExtensionOfTheHeaderIsPassedOver) {
  Recorder recorder;
  const std::string copy =
      std::string("PGCOPY\n\xff\r\n\0", 11) + Big(0, 4) + Big(3, 4) + "ext" + kEnd;
  EXPECT_TRUE(ReadIn(copy, 2, recorder).ok());
}

TEST(KineCopy, NoRowsAreRight) {
  Recorder recorder;
  EXPECT_TRUE(ReadIn(kStart + kEnd, 5, recorder).ok());
  EXPECT_EQ(recorder.text, "");
}

TEST(KineCopy, DamageIsFoundOut) {
  Recorder recorder;
  const std::string copy = kStart + Row(1, "/a", 8, Field("value"), kNull) + kEnd;
  for (std::size_t length = 0; length < copy.size(); ++length)
    EXPECT_EQ(ReadIn(copy.substr(0, length), 64, recorder).code(), StatusCode::kDataLoss) << length;
  EXPECT_EQ(MessageOf(ReadIn(copy + "x", 1000, recorder)), "bytes after the end of a binary COPY");
  EXPECT_EQ(MessageOf(ReadIn(kStart + Big(3, 2), 1000, recorder)),
            "a row of 3 fields in a kine table");
  EXPECT_EQ(MessageOf(ReadIn(kStart + Big(9, 2) + Field("123"), 1000, recorder)),
            "column 1 of a kine table has 3 bytes");
  EXPECT_EQ(MessageOf(ReadIn(std::string(19, 'x'), 1000, recorder)),
            "not the start of a binary COPY");
}

}  // namespace
}  // namespace holdfast::pgdump
