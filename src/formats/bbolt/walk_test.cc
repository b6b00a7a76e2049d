#include "formats/bbolt/walk.h"

#include <gtest/gtest.h>

#include <map>

#include "base/endian.h"
#include "stream/memory.h"
#include "testing/bbolt_builder.h"

namespace holdfast::bbolt {
namespace {

class Collect final : public Visitor {
 public:
  std::map<std::string, std::map<std::string, std::string>> buckets;
  Status OnBucket(ByteSpan name) override {
    current_ = &buckets[std::string(TextOf(name))];
    return OkStatus();
  }
  Status OnEntry(ByteSpan key, ByteSpan value) override {
    (*current_)[std::string(TextOf(key))] = TextOf(value);
    return OkStatus();
  }

 private:
  std::map<std::string, std::string>* current_ = nullptr;
};

class WalkTest : public ::testing::Test {
 protected:
  WalkTest() {
    for (int i = 10; i < 99; ++i)
      builder_.Add("key", "k" + std::to_string(i), std::string(700, 'v'));
    builder_.Add("key", "large", std::string(20000, 'L'));
    builder_.Add("meta", "index", "7");
    builder_.AddBucket("empty");
    image_ = builder_.Build();
  }

  Status WalkImage(std::string image) {
    const StringAccess file(std::move(image), "x.db");
    ASSIGN_OR_RETURN(const Database database, Database::Open(file));
    return Walk(database, found_);
  }

  // Opens the image with one byte range changed.
  Status WalkWith(std::size_t offset, std::string_view bytes) {
    std::string image = image_;
    image.replace(offset, bytes.size(), bytes);
    return WalkImage(image);
  }

  // Offset of the first page of a kind at or after `from`.
  std::size_t FindPage(PageFlag flag, std::size_t from = 2 * 4096) {
    for (std::size_t o = from; o < image_.size(); o += 4096) {
      const PageHeader h = PageHeader::Load(BytesOf(image_).data() + o);
      if (h.id == o / 4096 && h.flags == flag && h.count > 1) return o;
    }
    return 0;
  }

  testing::BboltBuilder builder_;
  std::string image_;
  Collect found_;
};

TEST_F(WalkTest, FindsEveryEntryOfPagedInlineAndEmptyBuckets) {
  ASSERT_TRUE(WalkImage(image_).ok());
  ASSERT_EQ(found_.buckets.size(), 3u);
  EXPECT_EQ(found_.buckets["key"].size(), 90u);
  EXPECT_EQ(found_.buckets["key"]["large"], std::string(20000, 'L'));
  EXPECT_EQ(found_.buckets["meta"]["index"], "7");
  EXPECT_TRUE(found_.buckets["empty"].empty());
}

TEST_F(WalkTest, AStoredFreelistIsRead) {
  builder_.store_freelist = true;
  EXPECT_TRUE(WalkImage(builder_.Build()).ok());
}

TEST_F(WalkTest, OtherPageSizes) {
  for (std::size_t size : {1024u, 16384u, 65536u}) {
    builder_.page_size = size;
    EXPECT_TRUE(WalkImage(builder_.Build()).ok()) << size;
  }
}

TEST_F(WalkTest, TheSecondMetaServesIfTheFirstIsBroken) {
  EXPECT_TRUE(WalkWith(kPageHeaderBytes, "\x00").ok());
  std::string image = image_;
  image[kPageHeaderBytes] = image[4096 + kPageHeaderBytes] = 0;
  EXPECT_EQ(MessageOf(WalkImage(image)), "x.db is not an etcd database: no valid bbolt meta page");
}

TEST_F(WalkTest, TruncationIsNamed) {
  const Status status = WalkImage(image_.substr(0, image_.size() - 1));
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(MessageOf(status).find("x.db is truncated or damaged"), std::string::npos) << status;
}

TEST_F(WalkTest, DamageIsFoundAndThePageNamed) {
  const std::size_t leaf = FindPage(kLeafPage), branch = FindPage(kBranchPage);
  ASSERT_NE(leaf, 0u);
  ASSERT_NE(branch, 0u);
  const auto expect = [&](std::size_t offset, std::string_view bytes, std::string_view words) {
    const Status status = WalkWith(offset, bytes);
    EXPECT_TRUE(absl::IsDataLoss(status)) << words;
    EXPECT_NE(MessageOf(status).find(words), std::string::npos) << status;
  };
  expect(leaf, "\xff", "says it is page");
  expect(leaf + 8, "\x04", "expected a branch (0x1) or leaf (0x2)");
  expect(leaf + 10, "\xff\xff", "claims 65535 elements");
  expect(leaf + 12, "\xff\xff\xff\xff", "overflow pages");
  expect(leaf + kPageHeaderBytes + 4, "\xff\xff\xff\x7f", "reach beyond the page");
  expect(branch + kPageHeaderBytes + 8, std::string_view("\x01\0\0\0\0\0\0\0", 8),
         "outside the database");
  expect(branch + kPageHeaderBytes + 8, image_.substr(branch + kPageHeaderBytes + 24, 8), "");
}

TEST_F(WalkTest, APageUsedTwiceIsFound) {
  // Two buckets with one tree.
  testing::BboltBuilder builder;
  builder.ForcePages("a");
  builder.ForcePages("b");
  builder.Add("a", "k", "v");
  builder.Add("b", "k", "v");
  std::string image = builder.Build();
  const StringAccess file(image, "x.db");
  const Database database = Database::Open(file).value();
  const std::size_t root = database.meta().root * 4096;
  const NodeView view = NodeView::Parse(BytesOf(image).subspan(root, 4096)).value();
  const auto value_offset = [&](std::size_t i) {
    return static_cast<std::size_t>(view.value(i).data() - BytesOf(image).data());
  };
  image.replace(value_offset(1), 8, image.substr(value_offset(0), 8));
  EXPECT_NE(MessageOf(WalkImage(image)).find("is used twice"), std::string::npos);
}

// An image that goes on with zeros for a gigabyte.
class LongFile final : public RandomAccess {
 public:
  explicit LongFile(std::string image) : image_(std::move(image)) {}
  const std::string& path() const override { return image_.path(); }
  StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
    std::fill(out.begin(), out.end(), 0);
    RETURN_IF_ERROR(image_.ReadAt(offset, out).status());
    return out.size();
  }
  StatusOr<std::uint64_t> Size() const override { return 1 * kGiB; }

 private:
  StringAccess image_;
};

TEST_F(WalkTest, APageIsReadOnlyUpToABound) {
  std::string image = image_;
  Meta meta = *Meta::Load(BytesOf(image).data() + kPageHeaderBytes);
  meta.high_water = kGiB / 4096;
  meta.Store(reinterpret_cast<std::uint8_t*>(image.data()) + kPageHeaderBytes);
  const auto walk_with_overflow = [&](std::uint64_t pages) {
    StoreLittle(reinterpret_cast<std::uint8_t*>(image.data()) + meta.root * 4096 + 12,
                CheckedCast<std::uint32_t>(pages));
    const LongFile file(image);
    return Walk(Database::Open(file).value(), found_);
  };
  EXPECT_TRUE(walk_with_overflow(1000).ok());
  const Status status = walk_with_overflow(kLogicalPageBytesMax / 4096);
  EXPECT_NE(MessageOf(status).find("claims 268439552 bytes"), std::string::npos) << status;
}

TEST_F(WalkTest, NoSingleByteChangeCrashesOrIsRead) {
  // Every byte of the structure pages of a small file, flipped: a status or a clean walk, never a fault.
  testing::BboltBuilder builder;
  for (int i = 0; i < 9; ++i) builder.Add("key", "k" + std::to_string(i), std::string(500, 'v'));
  const std::string image = builder.Build();
  for (std::size_t i = 0; i < image.size(); ++i) {
    std::string bad = image;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    (void)WalkImage(bad);
  }
}

TEST_F(WalkTest, StopIsObeyed) {
  const StringAccess file(image_);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(Walk(Database::Open(file).value(), found_, stop.get_token())));
}

}  // namespace
}  // namespace holdfast::bbolt
