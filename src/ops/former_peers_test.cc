#include "ops/former_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FormerPeers, TheNodeIsTheMembersNameWithoutItsSuffix) {
  EXPECT_EQ(NodeOfMember("node-1-0a1b2c3d"), "node-1");
  EXPECT_EQ(NodeOfMember("node-1-0a1b2c3x"), "node-1-0a1b2c3x");
  EXPECT_EQ(NodeOfMember("-0a1b2c3d"), "-0a1b2c3d");
  EXPECT_EQ(NodeOfMember("default"), "default");
}

TEST(FormerPeers, SelfIsKnownByIdUrlOrName) {
  const std::vector<Member> members = {
      {.id = 1, .name = "a-00000000", .peer_urls = {"https://10.0.0.1:2380"}},
      {.id = 2, .name = "b-00000000", .peer_urls = {"https://10.0.0.2:2380"}},
      {.id = 3, .name = "", .peer_urls = {"https://10.0.0.3:2380"}},
      {.id = 4, .name = "b-11111111", .peer_urls = {"https://10.0.0.2:2380"}}};
  const auto ids = [&](const SelfAmongMembers& self) {
    std::vector<std::uint64_t> out;
    for (const Member& peer : PeersOf(members, self)) out.push_back(peer.id);
    return out;
  };
  EXPECT_THAT(ids({.member_id = 1, .peer_url = "x", .node_name = "y"}), ElementsAre(2, 3));
  EXPECT_THAT(ids({.member_id = {}, .peer_url = "https://10.0.0.2:2380", .node_name = "y"}),
              ElementsAre(1, 3));
  EXPECT_THAT(ids({.member_id = {}, .peer_url = "x", .node_name = "b"}), ElementsAre(1, 3));
}

TEST(FormerPeers, EachIsToldBothWays) {
  const auto lines = RejoinAdvice(
      {{.id = 2, .name = "b-00000000", .peer_urls = {"https://10.0.0.2:2380"}}},
      {.program = "holdfast", .data_dir = "/d", .server_url = "https://10.0.0.1:9345"});
  EXPECT_THAT(
      lines,
      ElementsAre(HasSubstr("b (https://10.0.0.2:2380)"),
                  HasSubstr("holdfast server --rejoin --server https://10.0.0.1:9345"),
                  HasSubstr("rm -rf /d/server/db, then holdfast server --server https://10")));
}

TEST(FormerPeers, DataTellTheirClusterAndDamagedOnesSaySo) {
  testing::MemoryFs fs;
  const DataLayout layout("/d");
  EXPECT_TRUE(LookAtFormerCluster(fs, layout).status.ok());
  const Membership membership = ParseInitialCluster("n1=http://10.0.0.1:2380", "").value();
  ASSERT_TRUE(MakeDirectories(fs, layout.etcd_wal(), 0700).ok());
  ASSERT_TRUE(MakeDirectories(fs, DirName(layout.etcd_database()), 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(fs, JoinPath(layout.etcd_wal(), kFirstWalName),
                                  EncodeFirstWal(membership, 7), 0600)
                  .ok());
  ASSERT_TRUE(
      WriteFileAtomically(fs, layout.etcd_database(), testing::MvccBuilder().bolt.Build(), 0600)
          .ok());
  const FormerCluster former = LookAtFormerCluster(fs, layout);
  EXPECT_TRUE(former.status.ok());
  EXPECT_EQ(former.identity->cluster_id, membership.cluster_id);
  EXPECT_EQ(former.identity->member_id, 7u);
  ASSERT_EQ(former.members.size(), 1u);
  ASSERT_TRUE(WriteFileAtomically(fs, layout.etcd_database(), "rubbish", 0600).ok());
  const FormerCluster damaged = LookAtFormerCluster(fs, layout);
  EXPECT_TRUE(absl::IsDataLoss(damaged.status));
  EXPECT_TRUE(damaged.identity);
}

}  // namespace
}  // namespace holdfast
