#include "api/cluster_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class FakeCluster final : public ClusterBackend {
 public:
  StatusOr<ClusterInfo> Info() override {
    return ClusterInfo{.members = {{7, "m-secret", {"https://p-secret"}, {"https://c-secret"}}},
                       .cluster_id = "c1",
                       .former_cluster_ids = {"c0"},
                       .node_name = "n-secret"};
  }
  StatusOr<Secret> Bootstrap() override { return Secret("{}\n"); }
  ClusterConfig Config() override { return {{{"a", "1"}}}; }
  NodeStatus Self() override { return {.node = {.name = "n1", .role = kServerRole}}; }
  StatusOr<std::vector<NodeStatus>> Nodes() override { return std::vector<NodeStatus>{Self()}; }
  StatusOr<ServerList> Servers() override { return ServerList{.cluster_id = "c1"}; }
  Status KeepAlive(const NodeRecord& agent) override {
    asked = "alive " + agent.name;
    return result;
  }
  Status RemoveNode(const NodeRemoval& removal) override {
    asked = "remove " + removal.name + (removal.force ? " by force" : "");
    return result;
  }
  StatusOr<ClientCertificate> MakeClientCertificate(const std::string& node) override {
    asked = "certificate " + node;
    return ClientCertificate{.certificate_pem = "c", .ca_pem = "a", .key_pem = Secret("k")};
  }
  Status RotateToken(const Secret& token) override {
    asked = "token " + token.reveal();
    return result;
  }
  std::string asked;
  Status result;
};

class NoLines final : public LineStream {
  void Send(std::string) override {}
};

class ClusterRoutesTest : public ::testing::Test {
 protected:
  ApiResponse Call(const std::string& method, const std::string& path,
                   const std::string& body = "") {
    for (const Route& route : ClusterRoutes(backend_, "x")) {
      if (route.method == method && route.path == path)
        return route.handle({.method = method, .path = path, .body = body}, lines_);
    }
    return {.code = 404};
  }
  FakeCluster backend_;
  NoLines lines_;
};

TEST_F(ClusterRoutesTest, AgentsMayOnlyDoWhatIsAgents) {
  std::map<std::string, Route::Access> found;
  for (const Route& route : ClusterRoutes(backend_, "x"))
    found[route.method + " " + route.path] = route.access;
  using enum Route::Access;
  EXPECT_EQ(found, (std::map<std::string, Route::Access>{{"GET /db/info", kServer},
                                                         {"GET /v1-x/lineage", kAnyone},
                                                         {"GET /v1-x/server-bootstrap", kServer},
                                                         {"GET /v1-x/config", kServer},
                                                         {"GET /v1-x/node", kServer},
                                                         {"GET /v1-x/nodes", kAgent},
                                                         {"GET /v1-x/servers", kAgent},
                                                         {"POST /v1-x/nodes", kAgent},
                                                         {"DELETE /v1-x/nodes", kServer},
                                                         {"POST /v1-x/client-certificate", kAgent},
                                                         {"PUT /v1-x/token", kServer}}));
  // With an agent's password nobody becomes a server.
  const std::string server = NodeRecord{.name = "n9", .role = kServerRole}.Encode();
  EXPECT_EQ(Call("POST", "/v1-x/nodes", server).code, 403);
  EXPECT_EQ(backend_.asked, "");
}

TEST_F(ClusterRoutesTest, EachReachesTheServerWithItsWords) {
  EXPECT_THAT(Call("GET", "/db/info").body, HasSubstr("\"clusterID\":\"c1\""));
  EXPECT_EQ(Call("GET", "/v1-x/lineage").body,
            "{\"members\":[{\"ID\":7}],\"clusterID\":\"c1\",\"formerClusterIDs\":[\"c0\"]}\n")
      << "ids, and nothing else";
  EXPECT_EQ(Call("GET", "/v1-x/server-bootstrap").body, "{}\n");
  EXPECT_THAT(Call("GET", "/v1-x/servers").body, HasSubstr("\"clusterID\":\"c1\""));
  EXPECT_EQ(Call("GET", "/v1-x/config").body, "{\"a\":\"1\"}\n");
  EXPECT_EQ(NodeStatus::Decode(Call("GET", "/v1-x/node").body)->node.name, "n1");
  EXPECT_EQ(DecodeNodes(Call("GET", "/v1-x/nodes").body)->size(), 1u);
  const std::string agent = NodeRecord{.name = "w1", .role = kAgentRole}.Encode();
  EXPECT_EQ(Call("POST", "/v1-x/nodes", agent).code, 200);
  EXPECT_EQ(backend_.asked, "alive w1");
  EXPECT_EQ(Call("DELETE", "/v1-x/nodes", NodeRemoval{"n3", true}.Encode()).code, 200);
  EXPECT_EQ(backend_.asked, "remove n3 by force");
  EXPECT_EQ(
      ClientCertificate::Decode(Call("POST", "/v1-x/client-certificate", EncodeNodeName("w1")).body)
          ->certificate_pem,
      "c");
  EXPECT_EQ(Call("PUT", "/v1-x/token", EncodeNewToken(Secret("new"))).code, 200);
  EXPECT_EQ(backend_.asked, "token new");
}

TEST_F(ClusterRoutesTest, WhatIsWrongIsSaidWithItsCode) {
  for (const char* path : {"/v1-x/nodes", "/v1-x/client-certificate"})
    EXPECT_EQ(Call("POST", path, "{").code, 400);
  EXPECT_EQ(Call("PUT", "/v1-x/token", "[]").code, 400);
  EXPECT_EQ(Call("DELETE", "/v1-x/nodes", "{\"name\":\"../x\"}").code, 400);
  backend_.result = WithHint(FailedPreconditionError("last voter"), "Stay.");
  const ApiResponse answer = Call("DELETE", "/v1-x/nodes", NodeRemoval{"n3"}.Encode());
  EXPECT_EQ(answer.code, 500);
  EXPECT_THAT(answer.body, HasSubstr("last voter"));
}

}  // namespace
}  // namespace holdfast
