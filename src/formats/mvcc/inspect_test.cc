#include "formats/mvcc/inspect.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "stream/memory.h"
#include "testing/mvcc_builder.h"

namespace holdfast::mvcc {
namespace {

StatusOr<Inspection> InspectImage(const std::string& image) {
  const StringAccess file(image, "x.db");
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(file));
  return Inspect(database, {});
}

TEST(Inspect, KeysThatChangedSinceARevisionAreCountedOnce) {
  testing::MvccBuilder builder;
  builder.Put(2, "/a", "1");
  builder.Put(3, "/b", "1");
  builder.Put(4, "/c", "1");
  builder.Put(5, "/a", "2");
  builder.Put(6, "/a", "3");
  builder.Delete(7, "/b");
  builder.Put(8, "/new", "1");
  builder.Put(9, "/gone", "1");
  builder.Delete(10, "/gone");
  const StringAccess file(builder.bolt.Build(), "x");
  const bbolt::Database database = bbolt::Database::Open(file).value();
  const auto since = [&](std::optional<std::int64_t> revision) {
    const Inspection found = Inspect(database, {.changes_since = revision}).value();
    return std::pair(found.written_since, found.deleted_since);
  };
  EXPECT_EQ(since(4), std::pair(std::uint64_t{2}, std::uint64_t{2}));
  EXPECT_EQ(since(7), std::pair(std::uint64_t{1}, std::uint64_t{1}));
  EXPECT_EQ(since(10), std::pair(std::uint64_t{0}, std::uint64_t{0}));
  EXPECT_EQ(since({}), std::pair(std::uint64_t{0}, std::uint64_t{0}));
  EXPECT_EQ(Inspect(database, {})->members.count("4d"), 1u);
}

TEST(Inspect, CountsRevisionsEntriesAndLiveKeys) {
  testing::MvccBuilder builder;
  builder.Put(2, "/a", "1");
  builder.Put(3, "/b", "1");
  builder.Put(4, "/a", "2");
  builder.Delete(5, "/b");
  builder.Put(6, "/c", "1");
  builder.bolt.Add("meta", "finishedCompactRev", Revision{.main = 3}.Encode());
  builder.bolt.Add("alarm", "a", "");
  const Inspection found = InspectImage(builder.bolt.Build()).value();
  EXPECT_EQ(found.revision, 6);
  EXPECT_EQ(found.compact_revision, 3);
  EXPECT_EQ(found.live_keys, 2u);
  EXPECT_EQ(found.total_entries, 5u + 4u + 1u + 1u);  // log, meta, members, alarm
  EXPECT_EQ(found.alarms, 1u);
}

TEST(Inspect, EmptyStoreIsRevisionOne) {
  const Inspection found = InspectImage(testing::MvccBuilder().bolt.Build()).value();
  EXPECT_EQ(found.revision, 1);
  EXPECT_EQ(found.live_keys, 0u);
}

TEST(Inspect, ACompactionMayBeLaterThanTheLastEntry) {
  testing::MvccBuilder builder;
  builder.bolt.Add("meta", "finishedCompactRev", Revision{.main = 3}.Encode());
  EXPECT_EQ(InspectImage(builder.bolt.Build())->revision, 3);
  builder.bolt.Add("meta", "scheduledCompactRev", Revision{.main = 4}.Encode());
  EXPECT_EQ(InspectImage(builder.bolt.Build())->revision, 4);
}

TEST(Inspect, StatusHashIsTheChecksumOfBucketNamesKeysAndValues) {
  testing::BboltBuilder builder;
  const std::string key = Revision{.main = 2}.Encode(),
                    value = ProtobufWriter().Bytes(1, "k").text();
  builder.Add("key", key, value);
  builder.Add("meta", "i", "7");
  EXPECT_EQ(InspectImage(builder.Build())->status_hash,
            Crc32c(BytesOf("key" + key + value + "meta" + "i" + "7")));
}

TEST(Inspect, FindsTheLiveBootstrapData) {
  testing::MvccBuilder builder;
  builder.Put(2, "/bootstrap/aaa", "old");
  builder.Put(3, "/bootstrap/bbb", "gone");
  builder.Put(4, "/bootstrap/aaa", "new");
  builder.Delete(5, "/bootstrap/bbb");
  EXPECT_EQ(InspectImage(builder.bolt.Build())->bootstrap,
            (std::map<std::string, std::string>{{"/bootstrap/aaa", "new"}}));
}

TEST(Inspect, KeepsOnlyABoundedPartOfWhatIsNotBootstrapData) {
  testing::MvccBuilder builder;
  builder.Put(2, "/bootstrap/large", std::string(2 * kMiB, 'x'));
  for (int i = 3; i < 300; ++i) builder.Put(i, "/bootstrap/" + std::to_string(i), "x");
  EXPECT_EQ(InspectImage(builder.bolt.Build())->bootstrap.size(), 100u);
}

TEST(Inspect, DamagedLogIsRefused) {
  testing::MvccBuilder builder;
  builder.bolt.Add("key", "not a revision", "x");
  EXPECT_TRUE(absl::IsDataLoss(InspectImage(builder.bolt.Build()).status()));
  testing::MvccBuilder other;
  other.bolt.Add("key", Revision{.main = 2}.Encode(), "\xff\xff");
  EXPECT_EQ(MessageOf(InspectImage(other.bolt.Build()).status()),
            "x.db: bucket \"key\": the value of revision 2.0 is damaged");
}

TEST(Inspect, AnotherProgramsDatabaseIsRefused) {
  testing::BboltBuilder builder;
  builder.Add("things", "a", "b");
  EXPECT_EQ(MessageOf(InspectImage(builder.Build()).status()),
            "x.db is a bbolt file, but not etcd's: it has no bucket \"key\"");
}

TEST(Revision, EncodesAsEtcdDoes) {
  EXPECT_EQ(HexOf(BytesOf(Revision{.main = 258, .sub = 1, .tombstone = true}.Encode())),
            "00000000000001025f000000000000000174");
  EXPECT_EQ(Revision::Parse(BytesOf(Revision{.main = 258, .sub = 1}.Encode()))->sub, 1);
  EXPECT_FALSE(Revision::Parse(BytesOf("12345678x12345678")));
  EXPECT_FALSE(Revision::Parse(BytesOf("12345678_12345678x")));
  EXPECT_FALSE(Revision::Parse(BytesOf("short")));
}

}  // namespace
}  // namespace holdfast::mvcc
