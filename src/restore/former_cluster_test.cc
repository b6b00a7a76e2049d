#include "restore/former_cluster.h"

#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"

namespace holdfast {
namespace {

const Membership kTwo =
    ParseInitialCluster("n1=https://10.0.0.1:2380,n2=https://10.0.0.2:2380", "tok").value();

class FormerClusterTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(MakeDirectories(fs_, "/wal", 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(fs_, "/wal/" + name, content, 0600).ok());
  }
  testing::MemoryFs fs_;
};

TEST_F(FormerClusterTest, ASegmentTellsClusterAndMember) {
  EXPECT_FALSE(ReadIdentity(fs_, "/wal")->has_value());
  const std::uint64_t node = kTwo.members[1].id;
  Write(kFirstWalName, EncodeFirstWal(kTwo, node));
  Write("0.tmp", "");
  const auto identity = ReadIdentity(fs_, "/wal").value();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->cluster_id, kTwo.cluster_id);
  EXPECT_EQ(identity->member_id, node);
}

TEST_F(FormerClusterTest, TheNewestSegmentCounts) {
  Write(kFirstWalName, "rubbish");
  Write("0000000000000001-0000000000000100.wal", EncodeFirstWal(kTwo, 7));
  EXPECT_EQ((*ReadIdentity(fs_, "/wal"))->member_id, 7u);
}

TEST_F(FormerClusterTest, CutAndForeignSegmentsAreDataLoss) {
  const std::string whole = EncodeFirstWal(kTwo, 7);
  constexpr std::size_t kLessThanTwoRecords = 40;
  for (std::size_t size = 0; size < kLessThanTwoRecords; ++size) {
    Write(kFirstWalName, whole.substr(0, size));
    EXPECT_TRUE(absl::IsDataLoss(ReadIdentity(fs_, "/wal").status())) << size;
  }
  Write(kFirstWalName, std::string(100, '\0'));
  EXPECT_TRUE(absl::IsDataLoss(ReadIdentity(fs_, "/wal").status()));
  Write(kFirstWalName, std::string(100, '\xff'));
  EXPECT_TRUE(absl::IsDataLoss(ReadIdentity(fs_, "/wal").status()));
}

TEST_F(FormerClusterTest, MembersAreReadFromTheDatabase) {
  Write("db", testing::MvccBuilder().bolt.Build());
  const std::vector<Member> members = ReadMembers(fs_, "/wal/db").value();
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].id, 77u);
  EXPECT_EQ(members[0].name, "old");
  EXPECT_EQ(members[0].peer_urls, std::vector<std::string>{"http://old:2380"});
  Write("db", "rubbish");
  EXPECT_TRUE(absl::IsDataLoss(ReadMembers(fs_, "/wal/db").status()));
}

TEST_F(FormerClusterTest, WhatIsNoMemberIsLeftOut) {
  const std::vector<Member> members = MembersFrom({
      {"1",
       R"({"id":18446744073709551615,"peerURLs":["https://a:1","https://b:2"],"isLearner":true})"},
      {"2", "{"},
      {"3", R"({"id":"3"})"},
      {"4", R"([1])"},
      {"5", R"({"id":5,"name":5,"peerURLs":[5]})"},
  });
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].id, 5u);
  EXPECT_TRUE(members[0].name.empty() && members[0].peer_urls.empty());
  EXPECT_EQ(members[1].id, ~std::uint64_t{0});
  EXPECT_EQ(members[1].peer_urls.size(), 2u);
}

}  // namespace
}  // namespace holdfast
