#include "formats/kine/content.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/checksum.h"

namespace holdfast::kine {
namespace {

struct Row {
  std::int64_t id;
  std::string name;
  std::string value;
  bool deleted = false;
  std::int64_t prev_revision = 0;
};

Content Read(const std::vector<Row>& rows, std::size_t piece = 1000) {
  ContentReader reader;
  for (const Row& row : rows) {
    reader.BeginRow(row.id, row.name, row.deleted, row.prev_revision);
    for (std::size_t at = 0; at < row.value.size(); at += piece)
      reader.Value(BytesOf(std::string_view(row.value).substr(at, piece)));
    reader.EndRow();
  }
  return reader.Finish();
}

std::string Entry(const std::string& key, const std::string& value) {
  std::string text(8, '\0');
  text[0] = static_cast<char>(key.size());
  const Sha256Digest digest = Sha256Of(BytesOf(text + key + value));
  return std::string(digest.begin(), digest.end());
}

TEST(KineContent, IsTheHashOfTheSortedEntriesOfLiveKeys) {
  const Content found = Read({{1, "compact_rev_key", "", false, 2},
                              {2, "/a", "old"},
                              {3, "/b", "gone"},
                              {4, "/a", "new"},
                              {5, "/b", "gone", true},
                              {6, "gap-6", "", true},
                              {7, "/c", ""}});
  EXPECT_EQ(found.revision, 7);
  EXPECT_EQ(found.compact_revision, 2);
  EXPECT_EQ(found.live_keys, 2u);
  std::vector<std::string> entries = {Entry("/a", "new"), Entry("/c", "")};
  std::sort(entries.begin(), entries.end());
  EXPECT_EQ(found.content_hash, HexOf(Sha256Of(BytesOf(entries[0] + entries[1]))));
}

TEST(KineContent, DoesNotDependOnOrderOrPiecesOrHistory) {
  const Content all = Read({{2, "/a", "old"}, {4, "/a", "new"}, {7, "/c", "value"}});
  const Content reversed = Read({{7, "/c", "value"}, {4, "/a", "new"}, {2, "/a", "old"}}, 1);
  const Content live = Read({{1, "/c", "value"}, {2, "/a", "new"}});
  EXPECT_EQ(all.content_hash, reversed.content_hash);
  EXPECT_EQ(all.content_hash, live.content_hash);
  EXPECT_NE(all.content_hash, Read({{1, "/c", "value"}, {2, "/a", "neW"}}).content_hash);
}

TEST(KineContent, KeyAndValueAreNotMixedUp) {
  EXPECT_NE(Read({{1, "ab", "c"}}).content_hash, Read({{1, "a", "bc"}}).content_hash);
}

TEST(KineContent, KeepsTheLiveBootstrapData) {
  const Content found = Read({{1, "/bootstrap/aaaa", "sealed 1"},
                              {2, "/bootstrap/bbbb", "sealed 2"},
                              {3, "/bootstrap/aaaa", "sealed 3"},
                              {4, "/bootstrap/bbbb", "", true}});
  ASSERT_EQ(found.bootstrap.size(), 1u);
  EXPECT_EQ(found.bootstrap.at("/bootstrap/aaaa"), "sealed 3");
}

TEST(KineContent, GapsAreNamedByDigits) {
  EXPECT_TRUE(IsInternalName("gap-12"));
  EXPECT_FALSE(IsInternalName("gap-"));
  EXPECT_FALSE(IsInternalName("gap-x"));
  EXPECT_FALSE(IsInternalName("/gap-1"));
}

}  // namespace
}  // namespace holdfast::kine
