#include "ops/nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/fake_etcd.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

NodeRecord Server(const std::string& name, std::int64_t created = 100) {
  return {.name = name,
          .role = kServerRole,
          .address = "10.0.0.1",
          .created = absl::FromUnixSeconds(created)};
}

TEST(Nodes, ARecordIsWrittenOnlyWhenItDiffersAndKeepsItsAge) {
  testing::FakeEtcd etcd;
  ASSERT_TRUE(RegisterNode(etcd, "x/", Server("n1", 100)).ok());
  const std::int64_t revision = etcd.status.revision;
  ASSERT_TRUE(RegisterNode(etcd, "x/", Server("n1", 200)).ok());
  EXPECT_EQ(etcd.status.revision, revision);
  NodeRecord moved = Server("n1", 300);
  moved.address = "10.0.0.2";
  ASSERT_TRUE(RegisterNode(etcd, "x/", moved).ok());
  const auto nodes = ReadNodes(etcd, "x/").value();
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].node.address, "10.0.0.2");
  EXPECT_EQ(nodes[0].node.created, absl::FromUnixSeconds(100));
  EXPECT_FALSE(nodes[0].alive);
  // An agent must not take a server's name over.
  NodeRecord agent = Server("n1");
  agent.role = kAgentRole;
  EXPECT_EQ(RegisterNode(etcd, "x/", agent).code(), StatusCode::kAlreadyExists);
}

TEST(Nodes, ARemovedAgentStaysOutUntilItIsStartedAgain) {
  testing::FakeEtcd etcd;
  NodeRecord agent{.name = "a", .role = kAgentRole, .address = "10.0.0.2", .run = "first"};
  ASSERT_TRUE(RegisterNode(etcd, "x/", agent).ok());
  ASSERT_TRUE(ForgetNode(etcd, "x/", "a").ok());
  for (int i = 0; i < 2; ++i) {
    const Status again = RegisterNode(etcd, "x/", agent);
    EXPECT_EQ(again.code(), StatusCode::kPermissionDenied);
    EXPECT_EQ(MessageOf(again), "agent a was removed from the cluster");
  }
  EXPECT_TRUE(ReadNodes(etcd, "x/")->empty());
  agent.run = "second";
  ASSERT_TRUE(RegisterNode(etcd, "x/", agent).ok());
  EXPECT_EQ(ReadNodes(etcd, "x/")->size(), 1u);
  EXPECT_FALSE(etcd.keys.contains("x/removed/a"));
  // What does not run any more is forgotten as well; and a server may have the name then.
  ASSERT_TRUE(ForgetNode(etcd, "x/", "a").ok());
  EXPECT_TRUE(RegisterNode(etcd, "x/", Server("a")).ok());
  EXPECT_TRUE(ForgetNode(etcd, "x/", "nobody").ok());
}

TEST(Nodes, ALeaseIsKeptAndOneThatEndedIsReplaced) {
  testing::FakeEtcd etcd;
  ASSERT_TRUE(RegisterNode(etcd, "x/", Server("n1")).ok());
  ASSERT_TRUE(KeepNodeAlive(etcd, "x/", "n1").ok());
  ASSERT_EQ(etcd.leases.size(), 1u);
  EXPECT_EQ(etcd.leases.begin()->second, kAliveFor);
  const std::int64_t revision = etcd.status.revision;
  ASSERT_TRUE(KeepNodeAlive(etcd, "x/", "n1").ok());
  EXPECT_EQ(etcd.status.revision, revision) << "nothing is written to stay alive";
  EXPECT_TRUE(ReadNodes(etcd, "x/").value()[0].alive);
  etcd.EndLease(etcd.leases.begin()->first);
  EXPECT_FALSE(ReadNodes(etcd, "x/").value()[0].alive);
  ASSERT_TRUE(KeepNodeAlive(etcd, "x/", "n1").ok());
  EXPECT_TRUE(ReadNodes(etcd, "x/").value()[0].alive);
  // A key from a snapshot may name a lease that nobody has, or none.
  for (const char* value : {"ffff", "", "no lease"}) {
    etcd.keys["x/alive/n1"].value = value;
    EXPECT_TRUE(KeepNodeAlive(etcd, "x/", "n1").ok()) << value;
    EXPECT_NE(etcd.keys["x/alive/n1"].value, value);
  }
  ASSERT_TRUE(ForgetNode(etcd, "x/", "n1").ok());
  EXPECT_TRUE(etcd.keys.empty());
}

TEST(Nodes, WhatCannotBeReadIsLeftOut) {
  testing::FakeEtcd etcd;
  ASSERT_TRUE(RegisterNode(etcd, "x/", Server("n1")).ok());
  ASSERT_TRUE(etcd.Put("x/nodes/bad", "{", 0).ok());
  EXPECT_EQ(ReadNodes(etcd, "x/").value().size(), 1u);
}

std::vector<MemberHealth> Members(const std::string& states) {
  // One letter each: V a healthy voter, v a dead one, L and l learners.
  std::vector<MemberHealth> out;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const char c = states[i];
    out.push_back({{.id = i + 1,
                    .name = fmt::format("n{}-0123abcd", i + 1),
                    .peer_urls = {},
                    .client_urls = {},
                    .is_learner = c == 'L' || c == 'l'},
                   c == 'V' || c == 'L'});
  }
  return out;
}

TEST(Nodes, AMemberThatHasNotStartedGoesByItsId) {
  const std::vector<etcd::MemberInfo> members = {{.id = 0xa1, .name = "n1-0a1b2c3d"}, {.id = 0xb2}};
  EXPECT_EQ(MemberOfNode(members, "n1")->id, 0xa1u);
  EXPECT_EQ(MemberOfNode(members, "b2")->id, 0xb2u);
  EXPECT_EQ(MemberOfNode(members, "a1"), nullptr);
  EXPECT_EQ(MemberOfNode(members, ""), nullptr);
}

TEST(Nodes, RemovalKeepsAQuorum) {
  const auto may = [](const std::string& states, bool force = false) {
    return MayRemove("n1", Members(states), true, force);
  };
  EXPECT_TRUE(may("VV").ok());
  EXPECT_TRUE(may("VVV").ok());
  EXPECT_TRUE(may("LV").ok());
  EXPECT_THAT(MessageOf(may("V")), HasSubstr("last voter"));
  EXPECT_THAT(MessageOf(may("VL")), HasSubstr("last voter"));
  EXPECT_THAT(MessageOf(may("V", true)), HasSubstr("last voter"));
  EXPECT_THAT(MessageOf(may("VVv")), HasSubstr("only 1 of 2 voters"));
  EXPECT_THAT(MessageOf(may("vVv", true)), HasSubstr("a quorum needs 2"));
  // A dead one needs the word, and the risk is said.
  EXPECT_EQ(may("vVV").code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(HintOf(may("vVV")), HasSubstr("--force"));
  EXPECT_TRUE(may("vVV", true).ok());
  EXPECT_TRUE(may("lVV", true).ok());
}

TEST(Nodes, ANodeWithoutMemberMayGoIfItIsKnown) {
  EXPECT_TRUE(MayRemove("old", Members("V"), true, false).ok());
  EXPECT_EQ(MayRemove("old", Members("V"), false, false).code(), StatusCode::kNotFound);
}

TEST(Nodes, AServersAnswerCountsOnlyIfItIsThatMemberOfThisCluster) {
  const auto row = [] {
    return NodeStatus{.node = Server("n1", 100), .reason = "not heard of", .member_id = "a1"};
  };
  const NodeStatus good{.node = Server("n1", 900),
                        .ready = true,
                        .member_id = "a1",
                        .cluster_id = "c1",
                        .is_leader = true,
                        .revision = 7};
  NodeStatus seen = row();
  TakeAnswer(seen, good, "c1");
  EXPECT_TRUE(seen.ready && seen.is_leader && seen.reason.empty() && seen.revision == 7);
  EXPECT_EQ(seen.node.created, absl::FromUnixSeconds(100));
  // What is not known is not compared.
  seen = row();
  seen.member_id = "";
  TakeAnswer(seen, good, "");
  EXPECT_TRUE(seen.ready);

  const auto refused = [&](auto change) {
    NodeStatus answer = good, other = row();
    change(answer);
    TakeAnswer(other, answer, "c1");
    EXPECT_FALSE(other.ready || other.is_leader) << other.reason;
    EXPECT_EQ(other.member_id, "a1");
    return other.reason;
  };
  EXPECT_EQ(refused([](NodeStatus& a) { a.node.name = "n2"; }), "n2 answers at its address");
  EXPECT_EQ(refused([](NodeStatus& a) { a.cluster_id = "c0"; }), "it serves another cluster (c0)");
  EXPECT_EQ(refused([](NodeStatus& a) { a.member_id = "b2"; }), "it is another member now (b2)");
  EXPECT_EQ(refused([](NodeStatus& a) {
              a.member_id = "";
              a.ready = false;
              a.reason = "it joins";
            }),
            "it joins");
}

TEST(Nodes, AMembersNodeIsItsNameWithoutTheSuffix) {
  const std::vector<etcd::MemberInfo> members = {
      {.id = 1, .name = "n1-0123abcd"}, {.id = 2, .name = "n1-a-0123abcd"}, {.id = 3, .name = ""}};
  EXPECT_EQ(MemberOfNode(members, "n1")->id, 1u);
  EXPECT_EQ(MemberOfNode(members, "n1-a")->id, 2u);
  EXPECT_EQ(MemberOfNode(members, ""), nullptr);
}

}  // namespace
}  // namespace holdfast
