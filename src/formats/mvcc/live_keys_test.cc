#include "formats/mvcc/live_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/memory.h"
#include "testing/mvcc_builder.h"

namespace holdfast::mvcc {
namespace {

using Found = std::vector<std::string>;

StatusOr<Found> LiveIn(testing::MvccBuilder& builder, std::stop_token stop = {}) {
  const StringAccess file(builder.bolt.Build());
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(file));
  Found found;
  RETURN_IF_ERROR(ForEachLiveKey(
      database,
      [&](const LiveKey& live) {
        found.push_back(fmt::format("{} {}={} lease {}", live.revision.main, TextOf(live.key),
                                    TextOf(live.value), live.lease));
        return OkStatus();
      },
      stop));
  return found;
}

TEST(LiveKeys, AreTheLastVersionsThatAreNotDeletedInTheOrderOfTheirRevisions) {
  testing::MvccBuilder builder;
  builder.Put(2, "b", "old");
  builder.Put(3, "gone", "x");
  builder.Put(4, "a", "1");
  builder.Put(5, "b", "new");
  builder.Delete(6, "gone");
  builder.Put(7, "back", "x");
  builder.Delete(8, "back");
  builder.Put(9, "back", "y");
  EXPECT_EQ(LiveIn(builder).value(),
            (Found{"4 a=1 lease 0", "5 b=new lease 0", "9 back=y lease 0"}));
}

TEST(LiveKeys, LeasesAreTold) {
  testing::MvccBuilder builder;
  builder.bolt.Add("key", Revision{.main = 2}.Encode(),
                   ProtobufWriter().Bytes(1, "k").Bytes(5, "v").Varint(6, 0x77).text());
  EXPECT_EQ(LiveIn(builder).value(), (Found{"2 k=v lease 119"}));
}

TEST(LiveKeys, NoneAndAMarkOfARestoreAreFine) {
  testing::MvccBuilder builder;
  EXPECT_EQ(LiveIn(builder).value(), Found());
  builder.bolt.Add("key", Revision{.main = 1000}.Encode(), "");
  EXPECT_EQ(LiveIn(builder).value(), Found());
}

TEST(LiveKeys, ABrokenLogAndAStopAreErrors) {
  testing::MvccBuilder builder;
  builder.Put(2, "a", "1");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(LiveIn(builder, stop.get_token()).status()));
  builder.bolt.Add("key", Revision{.main = 3}.Encode(), "\xff\xff");
  EXPECT_TRUE(absl::IsDataLoss(LiveIn(builder).status()));
}

}  // namespace
}  // namespace holdfast::mvcc
