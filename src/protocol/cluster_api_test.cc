#include "protocol/cluster_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(ClusterApiTest, InfoHasRke2sMembersAndOurFence) {
  const ClusterInfo info{
      .members =
          {{.id = 18446744073709551615u, .name = "a-1", .peer_urls = {"p"}, .client_urls = {"c"}},
           {.id = 1, .name = "", .peer_urls = {"q"}, .client_urls = {}, .is_learner = true}},
      .cluster_id = "c1",
      .former_cluster_ids = {"b1"},
      .node_name = "a"};
  EXPECT_EQ(
      info.Encode(),
      "{\"members\":[{\"ID\":18446744073709551615,\"name\":\"a-1\",\"peerURLs\":[\"p\"],"
      "\"clientURLs\":[\"c\"]},{\"ID\":1,\"name\":\"\",\"peerURLs\":[\"q\"],\"isLearner\":true}],"
      "\"clusterID\":\"c1\",\"formerClusterIDs\":[\"b1\"],\"nodeName\":\"a\"}\n");
  const ClusterInfo back = ClusterInfo::Decode(info.Encode()).value();
  EXPECT_EQ(back.members, info.members);
  EXPECT_EQ(back.cluster_id, "c1");
  EXPECT_EQ(back.former_cluster_ids, info.former_cluster_ids);
  EXPECT_EQ(back.node_name, "a");
}

TEST(ClusterApiTest, WhatIsNoneOfThisIsRefused) {
  for (const char* text : {"", "[]", "{", "{}", "{\"members\":1}", "{\"members\":[1]}"})
    EXPECT_FALSE(ClusterInfo::Decode(text).ok()) << text;
  for (const char* text : {"{\"nodes\":{}}", "{\"nodes\":[{}]}", "{\"nodes\":[3]}"})
    EXPECT_FALSE(DecodeNodes(text).ok()) << text;
  EXPECT_FALSE(ClientCertificate::Decode("{\"certificate\":\"x\"}").ok());
  // A name becomes a key.
  for (const char* name : {"", "a/b", "A", "a b", "a\n"}) {
    EXPECT_FALSE(DecodeNodeName(EncodeNodeName(name)).ok()) << name;
    EXPECT_FALSE(NodeRemoval::Decode(NodeRemoval{.name = name}.Encode()).ok()) << name;
  }
}

TEST(ClusterApiTest, NodesSurviveTheWay) {
  NodeStatus server{.node = {.name = "n1",
                             .role = "server",
                             .address = "10.0.0.1",
                             .supervisor_url = "https://10.0.0.1:9345",
                             .client_url = "https://10.0.0.1:2379",
                             .version = "0.4",
                             .created = absl::FromUnixSeconds(1'700'000'000)},
                    .ready = true,
                    .member_id = "a1",
                    .cluster_id = "c1",
                    .is_leader = true,
                    .db_bytes = 4096,
                    .revision = 7,
                    .last_snapshot = absl::FromUnixSeconds(1'700'000'100)};
  NodeStatus agent{.node = {.name = "w1", .role = "agent", .address = "10.0.0.9"},
                   .reason = "it does not answer"};
  const auto back = DecodeNodes(EncodeNodes({server, agent})).value();
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].node, server.node);
  EXPECT_EQ(back[0].Encode(), server.Encode());
  EXPECT_EQ(back[1].Encode(), agent.Encode());
  EXPECT_EQ(NodeRecord::Decode(server.node.Encode()).value(), server.node);
}

TEST(ClusterApiTest, TheListThatAgentsFollowNamesItsCluster) {
  const ServerList list{
      .cluster_id = "c2",
      .former_cluster_ids = {"c1"},
      .servers = {{.name = "n1", .role = "server", .client_url = "https://10.0.0.1:2379"}}};
  const auto back = ServerList::Decode(list.Encode()).value();
  EXPECT_EQ(back.cluster_id, "c2");
  EXPECT_EQ(back.former_cluster_ids, list.former_cluster_ids);
  EXPECT_EQ(back.servers, list.servers);
  for (const char* bad :
       {"{}", R"({"servers":[]})", R"({"clusterID":"c"})", R"({"clusterID":"c","servers":[1]})",
        R"({"clusterID":"c","servers":[{"name":"n1","role":"king"}]})"})
    EXPECT_FALSE(ServerList::Decode(bad).ok()) << bad;
}

TEST(ClusterApiTest, SettingsThatDifferAreNamedWithBothValues) {
  const ClusterConfig here{{{"a", "1"}, {"b", "2"}, {"new", "x"}}};
  EXPECT_EQ(Differences(here, here), "");
  EXPECT_EQ(Differences(here, {{{"a", "1"}, {"b", "3"}}}), "b is 2 here and 3 there");
  EXPECT_EQ(ClusterConfig::Decode(here.Encode()).value().values, here.values);
}

TEST(ClusterApiTest, SecretsAreRead) {
  const ClientCertificate pair{.certificate_pem = "c", .ca_pem = "a", .key_pem = Secret("k")};
  EXPECT_EQ(ClientCertificate::Decode(pair.Encode()).value().key_pem.reveal(), "k");
  EXPECT_EQ(DecodeNewToken(EncodeNewToken(Secret("t"))).value().reveal(), "t");
}

}  // namespace
}  // namespace holdfast
