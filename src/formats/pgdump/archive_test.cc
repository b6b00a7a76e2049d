#include "formats/pgdump/archive.h"

#include <gtest/gtest.h>

namespace holdfast::pgdump {
namespace {

void Text(std::string& out, std::string_view text) {
  AppendInteger(out, static_cast<std::int32_t>(text.size()));
  out += text;
}
void None(std::string& out) { AppendInteger(out, -1); }

std::string Start(int minor, std::int32_t entries) {
  std::string out = "PGDMP";
  out += {1, static_cast<char>(minor), 0, 4, 8, 1};
  if (minor >= 15) {
    out += '\0';
  } else {
    AppendInteger(out, 0);
  }
  for (int i = 0; i < 7; ++i) AppendInteger(out, i);
  Text(out, "kine");
  Text(out, "15.18");
  Text(out, "15.18");
  AppendInteger(out, entries);
  return out;
}

std::string TocEntry(int minor, std::int32_t id, bool data, std::string_view kind, Section section,
                     std::string_view definition = "") {
  std::string out;
  AppendInteger(out, id);
  AppendInteger(out, data ? 1 : 0);
  Text(out, "1259");
  Text(out, "16388");
  Text(out, "kine");
  Text(out, kind);
  AppendInteger(out, static_cast<std::int32_t>(section));
  Text(out, definition);
  Text(out, "");
  Text(out, data ? "COPY" : "");
  Text(out, "public");
  None(out);
  None(out);
  if (minor >= 16) AppendInteger(out, 'r');
  Text(out, "owner");
  Text(out, "false");
  Text(out, "7");
  Text(out, "8");
  None(out);
  out += static_cast<char>(data ? 1 : 3);
  return out + std::string(8, '\0');
}

std::string Block(std::int32_t id, const std::vector<std::string>& chunks) {
  std::string out = "\1";
  AppendInteger(out, id);
  for (const std::string& chunk : chunks) Text(out, chunk);
  AppendInteger(out, 0);
  return out;
}

std::string LargeObjects(std::int32_t id) {
  std::string out = "\3";
  AppendInteger(out, id);
  AppendInteger(out, 4711);
  Text(out, "large");
  AppendInteger(out, 0);
  AppendInteger(out, 0);
  return out;
}

std::string Sample(int minor) {
  return Start(minor, 5) +
         TocEntry(minor, 1, false, "ENCODING", Section::kPreData, "SET client_encoding = 'UTF8';") +
         TocEntry(minor, 5, false, "TABLE", Section::kPreData) +
         TocEntry(minor, 9, true, "TABLE DATA", Section::kData) +
         TocEntry(minor, 10, true, "BLOBS", Section::kData) +
         TocEntry(minor, 11, false, "INDEX", Section::kPostData) + Block(9, {"first", "second"}) +
         LargeObjects(10);
}

struct Recorder final : ArchiveEvents {
  Status OnHead(const Head& head) override {
    encoding = head.Encoding();
    for (const Entry& entry : head.entries) kinds += entry.kind + ";";
    return OkStatus();
  }
  Status OnData(const Entry& entry, ByteSpan piece) override {
    id = entry.id;
    data.append(TextOf(piece));
    return OkStatus();
  }
  Status OnDataEnd(const Entry&) override {
    data += "|";
    return OkStatus();
  }
  std::string encoding, kinds, data;
  std::int32_t id = 0;
};

Status ReadIn(std::string_view archive, std::size_t piece, Recorder& recorder) {
  ArchiveReader reader(recorder);
  for (std::size_t at = 0; at < archive.size(); at += piece)
    RETURN_IF_ERROR(reader.Write(BytesOf(archive.substr(at, piece))));
  return reader.Finish();
}

TEST(PgArchive, IsReadInPiecesOfAnySizeAndEveryVersion) {
  for (const int minor : {14, 15, 16}) {
    for (const std::size_t piece : {1, 2, 7, 100, 100000}) {
      Recorder recorder;
      const Status status = ReadIn(Sample(minor), piece, recorder);
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(recorder.encoding, "UTF8");
      EXPECT_EQ(recorder.kinds, "ENCODING;TABLE;TABLE DATA;BLOBS;INDEX;");
      EXPECT_EQ(recorder.data, "firstsecond|");
      EXPECT_EQ(recorder.id, 9);
    }
  }
}

TEST(PgArchive, EveryOtherEndIsFoundOut) {
  const std::string whole = Sample(14);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    Recorder recorder;
    EXPECT_EQ(ReadIn(whole.substr(0, length), 1000, recorder).code(), StatusCode::kDataLoss)
        << length;
  }
  Recorder recorder;
  EXPECT_EQ(
      MessageOf(ReadIn(whole.substr(0, whole.size() - LargeObjects(10).size()), 64, recorder)),
      "the archive ends without the data of 1 entries");
  EXPECT_EQ(MessageOf(ReadIn(whole + Block(9, {}), 64, recorder)),
            "a data block of entry 9, which has none or had it before");
  EXPECT_EQ(MessageOf(ReadIn(whole + "x", 64, recorder)), "a data block of the unknown type 120");
}

TEST(PgArchive, WhatIsNoneIsRefused) {
  Recorder recorder;
  EXPECT_EQ(MessageOf(ReadIn("PGDMP is only the beginning", 64, recorder)),
            "not an archive of pg_dump's custom format");
  std::string newer = Sample(14);
  newer[6] = 17;
  const Status status = ReadIn(newer, 64, recorder);
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(MessageOf(status), "archive of version 1.17; 1.14 to 1.16 are known");
}

TEST(PgArchive, DataCanBeAdded) {
  for (const int minor : {14, 15, 16}) {
    const std::string archive = Start(minor, 3) +
                                TocEntry(minor, 5, false, "TABLE", Section::kPreData) +
                                TocEntry(minor, 6, true, "TABLE DATA", Section::kData) +
                                TocEntry(minor, 11, false, "INDEX", Section::kPostData);
    HeadParser parser;
    ASSERT_EQ(parser.Take(BytesOf(archive + "rest")).value(), archive.size());
    ASSERT_TRUE(parser.complete());
    const Head& head = parser.head();
    EXPECT_EQ(head.bytes, archive);
    const AddedData added = AddTableData(head, head.entries[0], "COPY kine FROM stdin;");
    EXPECT_EQ(added.id, 12);
    HeadParser again;
    ASSERT_EQ(again.Take(BytesOf(added.head)).value(), added.head.size());
    ASSERT_TRUE(again.complete());
    ASSERT_EQ(again.head().entries.size(), 4u);
    const Entry& entry = again.head().entries[1];
    EXPECT_EQ(entry.id, 12);
    EXPECT_TRUE(entry.has_data);
    EXPECT_EQ(entry.kind, "TABLE DATA");
    EXPECT_EQ(entry.tag, "kine");
    EXPECT_EQ(entry.schema, "public");
    EXPECT_EQ(entry.owner, "owner");
    EXPECT_EQ(entry.copy_statement, "COPY kine FROM stdin;");
    EXPECT_EQ(again.head().entries[2].id, 6);
    EXPECT_EQ(again.head().entries[3].kind, "INDEX");
  }
}

}  // namespace
}  // namespace holdfast::pgdump
