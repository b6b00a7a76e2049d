#include "ops/fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const OwnData kOwn{.cluster_id = "c2", .member_id = 7, .former_cluster_ids = {"c1"}};

ClusterInfo Peer(const std::string& id, std::vector<std::uint64_t> members = {},
                 std::vector<std::string> former = {}) {
  ClusterInfo info{.cluster_id = id, .former_cluster_ids = std::move(former)};
  for (const std::uint64_t member : members) info.members.push_back({.id = member});
  return info;
}

TEST(Fence, StandingIsToldByClusterAndMemberIds) {
  EXPECT_EQ(StandingWith(kOwn, Peer("c2", {7, 8})), Standing::kMember);
  EXPECT_EQ(StandingWith(kOwn, Peer("c2", {8})), Standing::kRemoved);
  EXPECT_EQ(StandingWith(kOwn, Peer("c2")), Standing::kUnknown) << "it has no quorum to tell";
  EXPECT_EQ(StandingWith(kOwn, Peer("")), Standing::kUnknown) << "another program";
  EXPECT_EQ(StandingWith(kOwn, Peer("c3", {8}, {"c1", "c2"})), Standing::kFormer);
  EXPECT_EQ(StandingWith(kOwn, Peer("c3", {7}, {"c1"})), Standing::kForeign);
  EXPECT_EQ(StandingWith(kOwn, Peer("c1", {7})), Standing::kPeerIsOld);
}

FenceVerdict Judge(std::vector<PeerAnswer> answers, const std::string& server_url = "https://a") {
  return JudgeAnswers(kOwn, answers, server_url, "holdfast");
}

TEST(Fence, NobodyToAskIsNoRefusal) {
  EXPECT_TRUE(Judge({}).refusal.ok());
  EXPECT_TRUE(Judge({{{"a", "https://a"}, UnavailableError("x")}}).refusal.ok());
  EXPECT_TRUE(Judge({{{"a", "https://a"}, Peer("c2", {7})}}).refusal.ok());
  EXPECT_TRUE(Judge({{{"a", "https://a"}, Peer("c1", {7})}}).refusal.ok()) << "the other is old";
}

TEST(Fence, OneAnswerIsEnoughAndSaysHowToGoOn) {
  const FenceVerdict verdict = Judge({{{"b", "https://b"}, UnavailableError("x")},
                                      {{"c", "https://c"}, Peer("c2", {7})},
                                      {{"d", "https://d"}, Peer("c3", {9}, {"c2"})}});
  EXPECT_EQ(verdict.standing, Standing::kFormer);
  EXPECT_EQ(verdict.refusal.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(MessageOf(verdict.refusal), HasSubstr("c2"));
  EXPECT_THAT(MessageOf(verdict.refusal), HasSubstr("c3"));
  EXPECT_THAT(HintOf(verdict.refusal), HasSubstr("--rejoin --server https://d"));
}

TEST(Fence, AnotherTokenThereIsToldWithTheRefusal) {
  PeerAnswer answer{{"d", "https://d"}, Peer("c3", {9}, {"c2"})};
  EXPECT_THAT(HintOf(Judge({answer}).refusal), ::testing::Not(HasSubstr("token show")));
  answer.other_token = true;
  const FenceVerdict verdict = Judge({answer});
  EXPECT_EQ(verdict.standing, Standing::kFormer);
  EXPECT_THAT(HintOf(verdict.refusal), HasSubstr("holdfast token show"));
}

TEST(Fence, AForeignClusterCountsOnlyWhereServerPoints) {
  EXPECT_EQ(Judge({{{"", "https://a"}, Peer("c9", {9})}}).standing, Standing::kForeign);
  EXPECT_TRUE(Judge({{{"b", "https://b"}, Peer("c9", {9})}}).refusal.ok());
}

TEST(Fence, ARemovedMemberIsToldToJoinAnew) {
  const FenceVerdict verdict = Judge({{{"", "https://a"}, Peer("c2", {8})}});
  EXPECT_EQ(verdict.standing, Standing::kRemoved);
  EXPECT_THAT(MessageOf(verdict.refusal), HasSubstr("removed"));
}

class FenceFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeDirectories(fs_, layout_.etcd(), 0700).ok()); }
  testing::MemoryFs fs_;
  DataLayout layout_{"/data"};
};

TEST_F(FenceFilesTest, DataAreSetAsideUnderAFreeName) {
  ASSERT_TRUE(WriteFileAtomically(fs_, layout_.etcd_name(), "n1", 0600).ok());
  EXPECT_EQ(SetDataAside(fs_, layout_, "etcd-old", absl::FromUnixSeconds(5)).value(),
            "/data/server/db/etcd-old-5");
  EXPECT_EQ(ReadFile(fs_, "/data/server/db/etcd-old-5/name", 10).value(), "n1");
  EXPECT_EQ(SetDataAside(fs_, layout_, "etcd-old", absl::FromUnixSeconds(5)).value(), "");
  ASSERT_TRUE(MakeDirectories(fs_, layout_.etcd(), 0700).ok());
  EXPECT_EQ(SetDataAside(fs_, layout_, "etcd-old", absl::FromUnixSeconds(5)).value(),
            "/data/server/db/etcd-old-6");
}

TEST_F(FenceFilesTest, TheNewestFiveBackupsStay) {
  for (int i = 1; i <= 12; ++i) {
    ASSERT_TRUE(MakeDirectories(fs_, fmt::format("/data/server/db/etcd-backup-{}", i), 0700).ok());
  }
  ASSERT_TRUE(MakeDirectories(fs_, "/data/server/db/etcd-backup-mine", 0700).ok());
  ASSERT_TRUE(RemoveOldBackups(fs_, layout_).ok());
  std::vector<std::string> left;
  const auto entries = fs_.List("/data/server/db").value();
  for (const DirectoryEntry& entry : entries) left.push_back(entry.name);
  std::sort(left.begin(), left.end());
  EXPECT_THAT(left, ElementsAre("etcd", "etcd-backup-10", "etcd-backup-11", "etcd-backup-12",
                                "etcd-backup-8", "etcd-backup-9", "etcd-backup-mine"));
}

TEST_F(FenceFilesTest, WhoWasOneOfAClusterBeginsNoEmptyOne) {
  EXPECT_TRUE(CheckEmptyStart(fs_, DataLayout("/new")).ok());
  EXPECT_TRUE(CheckEmptyStart(fs_, layout_).ok());
  ASSERT_TRUE(WriteKnownServers(fs_, layout_, {{"n2", "https://b"}}).ok());
  Status refused = CheckEmptyStart(fs_, layout_);
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(refused), HasSubstr("/data/server/db/servers.json"));
  ASSERT_TRUE(WriteKnownServers(fs_, layout_, {}).ok());
  EXPECT_TRUE(CheckEmptyStart(fs_, layout_).ok());
  ASSERT_TRUE(MakeDirectories(fs_, "/data/server/db/etcd-backup-5", 0700).ok());
  refused = CheckEmptyStart(fs_, layout_);
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(HintOf(refused), HasSubstr("--server"));
}

TEST_F(FenceFilesTest, KnownServersAreWrittenWhenTheyDifferAndReadWhateverStandsThere) {
  EXPECT_THAT(ReadKnownServers(fs_, layout_), IsEmpty());
  const std::vector<KnownServer> servers = {{"n2", "https://b"}, {"n3", "https://c"}};
  ASSERT_TRUE(WriteKnownServers(fs_, layout_, servers).ok());
  EXPECT_EQ(ReadKnownServers(fs_, layout_), servers);
  const std::string path = "/data/server/db/servers.json";
  for (const char* text : {"", "{", "{\"servers\":3}", "{\"servers\":[1,{\"name\":2}]}"}) {
    ASSERT_TRUE(WriteFileAtomically(fs_, path, text, 0600).ok());
    EXPECT_THAT(ReadKnownServers(fs_, layout_), IsEmpty()) << text;
  }
}

TEST_F(FenceFilesTest, WithoutDataThereIsNothingToFence) {
  EXPECT_FALSE(ReadOwnData(fs_, layout_).value().has_value());
}

}  // namespace
}  // namespace holdfast
