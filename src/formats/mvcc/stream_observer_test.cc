#include "formats/mvcc/stream_observer.h"

#include <gtest/gtest.h>

#include "testing/mvcc_builder.h"

namespace holdfast::mvcc {
namespace {

std::optional<StreamObserver::Result> Observe(const std::string& image, std::size_t piece) {
  StreamObserver observer;
  for (std::size_t i = 0; i < image.size(); i += piece) {
    observer.Update(BytesOf(std::string_view(image).substr(i, piece)));
  }
  return observer.Finish();
}

TEST(StreamObserver, FindsTheRevisionWhateverTheShapeAndThePieces) {
  for (int writes : {1, 2, 5, 30, 200}) {
    for (std::size_t value_size : {10u, 3000u, 30000u}) {
      testing::MvccBuilder builder;
      builder.bolt.ForcePages("key");
      for (int i = 0; i < writes; ++i)
        builder.Put(2 + 3 * i, "/k" + std::to_string(i), std::string(value_size, 'v'));
      builder.bolt.Add("meta", "finishedCompactRev", Revision{.main = 2}.Encode());
      const std::string image = builder.bolt.Build() + std::string(32, 'd');
      for (std::size_t piece : {std::size_t{1000}, std::size_t{4096}, std::size_t{1} << 20}) {
        const auto found = Observe(image, piece);
        ASSERT_TRUE(found) << writes << " " << value_size << " " << piece;
        EXPECT_EQ(found->revision, 2 + 3 * (writes - 1));
        EXPECT_EQ(found->compact_revision, 2);
      }
    }
  }
}

TEST(StreamObserver, OneByteAtATime) {
  testing::MvccBuilder builder;
  builder.bolt.ForcePages("key");
  for (int i = 2; i < 20; ++i) builder.Put(i, "/k", std::string(2500, 'v'));
  EXPECT_EQ(Observe(builder.bolt.Build(), 1)->revision, 19);
}

TEST(StreamObserver, InlineAndEmptyStores) {
  testing::MvccBuilder builder;
  EXPECT_EQ(Observe(builder.bolt.Build(), 4096)->revision, 1);
  builder.Put(7, "/a", "1");
  EXPECT_EQ(Observe(builder.bolt.Build(), 4096)->revision, 7);
}

TEST(StreamObserver, StalePagesWithHigherRevisionsDoNotCount) {
  testing::MvccBuilder stale;
  stale.bolt.ForcePages("key");
  stale.Put(999, "/old", "x");
  const std::string old_image = stale.bolt.Build();
  testing::MvccBuilder builder;
  builder.bolt.ForcePages("key");
  builder.Put(5, "/a", "1");
  std::string image = builder.bolt.Build();
  // a free page at the end that still holds another leaf
  std::string leaf = old_image.substr(2 * 4096, 4096);
  const std::uint64_t id = image.size() / 4096;
  StoreLittle(reinterpret_cast<std::uint8_t*>(leaf.data()), id);
  image += leaf;
  bbolt::Meta meta = *bbolt::Meta::Load(BytesOf(image).data() + bbolt::kPageHeaderBytes);
  meta.high_water = id + 1;
  meta.Store(reinterpret_cast<std::uint8_t*>(image.data()) + bbolt::kPageHeaderBytes);
  EXPECT_EQ(Observe(image, 4096)->revision, 5);
}

TEST(StreamObserver, ACompactionMayBeLaterThanTheLastEntry) {
  testing::MvccBuilder builder;
  builder.bolt.Add("meta", "finishedCompactRev", Revision{.main = 9}.Encode());
  EXPECT_EQ(Observe(builder.bolt.Build(), 4096)->revision, 9);
}

TEST(StreamObserver, ALogWithoutARevisionAtItsEndGivesNothing) {
  // A key that is none, and one whose number is negative for etcd.
  for (const std::string& last : {std::string("x"), Revision{.main = INT64_MIN}.Encode()}) {
    testing::MvccBuilder builder;
    builder.bolt.ForcePages("key");
    builder.bolt.Add("key", last, "");
    EXPECT_FALSE(Observe(builder.bolt.Build(), 4096));
  }
}

TEST(StreamObserver, MoreThanItCanKeepInMindGivesNothing) {
  testing::MvccBuilder builder;
  builder.bolt.ForcePages("key");
  builder.Put(5, "/a", "1");
  std::string image = builder.bolt.Build();
  // Stale leaves that claim 65,535 elements: the last lies at the end of a page 255 further, and its key 4 GiB ahead.
  constexpr std::uint64_t kLeaves = 5000;
  bbolt::Meta meta = *bbolt::Meta::Load(BytesOf(image).data() + bbolt::kPageHeaderBytes);
  std::vector<std::uint8_t> page(4096);
  StoreLittle(&page[4084], std::uint32_t{0xfffffff0});
  StoreLittle(&page[4088], std::uint32_t{17});
  for (std::uint64_t i = 0; i < kLeaves; ++i) {
    bbolt::PageHeader{.id = meta.high_water + i, .flags = bbolt::kLeafPage, .count = 0xffff}.Store(
        page.data());
    image += TextOf(page);
  }
  meta.high_water += kLeaves;
  meta.Store(reinterpret_cast<std::uint8_t*>(image.data()) + bbolt::kPageHeaderBytes);
  EXPECT_FALSE(Observe(image, 4096));
}

TEST(StreamObserver, OtherBytesGiveNothing) {
  EXPECT_FALSE(Observe("", 1));
  EXPECT_FALSE(Observe(std::string(100000, 'x'), 777));
  testing::MvccBuilder builder;
  builder.Put(5, "/a", "1");
  const std::string image = builder.bolt.Build();
  for (std::size_t i = 0; i < image.size(); i += 3) {
    std::string bad = image;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    (void)Observe(bad, 4096);
  }
}

}  // namespace
}  // namespace holdfast::mvcc
