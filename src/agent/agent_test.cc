#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "os/atomic_file.h"
#include "testing/fake_clock.h"
#include "testing/fault_fs.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

ClusterServer Server(int i) {
  return {fmt::format("server-{}", i), fmt::format("https://192.0.2.{}:9345", i),
          fmt::format("192.0.2.{}:2379", i)};
}
std::string Url(int i) { return Server(i).supervisor_url; }
std::string Endpoint(int i) { return Server(i).endpoint; }

// The cluster as the test wants it to be. Only looked at while the agent sleeps.
class FakeSupervisors final : public SupervisorApi {
 public:
  StatusOr<ClusterView> Look(const std::string& url) override {
    ++asked[url];
    if (const auto it = not_ready.find(url); it != not_ready.end())
      return UnavailableError("{}", it->second);
    if (!look_error.ok()) return look_error;
    if (const auto it = others.find(url); it != others.end()) return it->second;
    return ClusterView{.id = "c1", .former_ids = {}, .servers = servers};
  }
  Status KeepAlive(const std::string& url) override {
    kept_alive.push_back(url);
    return keep_alive_error;
  }

  std::map<std::string, std::string> not_ready;  // URL -> why
  std::vector<ClusterServer> servers;            // of cluster c1
  std::map<std::string, ClusterView> others;     // URL -> what is said there instead
  Status look_error, keep_alive_error;

  std::map<std::string, int> asked;
  std::vector<std::string> kept_alive;
};

class FakeBalancer final : public Balancer {
 public:
  int port() const override { return 2379; }
  Status SetBackends(const std::vector<std::string>& backends,
                     const std::vector<std::string>& now_doubtful) override {
    ++calls;
    now = backends;
    doubtful = now_doubtful;
    return OkStatus();
  }
  std::vector<std::string> now, doubtful;
  int calls = 0;
};

class AgentTest : public ::testing::Test {
 protected:
  static constexpr char kStateFile[] = "/data/agent/etc/holdfast-agent-load-balancer.json";

  AgentTest() {
    EXPECT_TRUE(MakeDirectories(fs_, "/data", 0755).ok());
    api_.servers = {Server(1), Server(2), Server(3)};
  }
  // Returns when it has looked at the cluster once.
  void Start(const std::string& url = Url(1)) {
    agent_.reset();
    agent_.emplace(fs_, clock_, api_, balancer_,
                   AgentOptions{.server_url = url, .state_file = kStateFile});
    clock_.WaitForSleep();
  }
  void NextPoll() {
    clock_.Advance(clock_.WaitForSleep());
    clock_.WaitForSleep();
  }
  std::string State() { return ReadFile(fs_, kStateFile, 1 << 20).value(); }

  testing::MemoryFs fs_;
  testing::FakeClock clock_;
  FakeSupervisors api_;
  FakeBalancer balancer_;
  std::optional<Agent> agent_;
};

TEST_F(AgentTest, FollowsTheServersOfTheCluster) {
  Start();
  EXPECT_TRUE(agent_->health().ok()) << agent_->health();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  api_.servers = {Server(2), Server(4)};
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(2), Endpoint(4)));
  const int calls = balancer_.calls;
  NextPoll();
  EXPECT_EQ(balancer_.calls, calls);  // nothing new
}

TEST_F(AgentTest, OnlyReadyServersAreUsedAndWhileThereIsNoneAllStayAsTheyAre) {
  api_.not_ready[Url(2)] = "etcd has no leader";
  Start();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(3)));
  api_.not_ready = {{Url(1), "x"}, {Url(3), "y"}};
  for (int i = 0; i < kMissesMax; ++i) NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(2)));
  EXPECT_TRUE(agent_->health().ok());
  api_.not_ready = {{Url(1), "x"}, {Url(2), "etcd has no leader"}, {Url(3), "y"}};
  for (int i = 0; i < kMissesMax; ++i) NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(2)));
  EXPECT_THAT(balancer_.doubtful, IsEmpty());
  EXPECT_EQ(agent_->health().code(), StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(agent_->health()),
            "no server tells about the cluster: https://192.0.2.3:9345: y");
  api_.not_ready.clear();
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_TRUE(agent_->health().ok());
}

TEST_F(AgentTest, ABackendIsDroppedWhenItMissesThreePollsInARow) {
  Start();
  const auto all = ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3));
  for (int round = 0; round < 2; ++round) {
    api_.not_ready[Url(2)] = "no answer";
    for (int i = 1; i < kMissesMax; ++i) {
      NextPoll();
      EXPECT_THAT(balancer_.now, all);
      EXPECT_THAT(balancer_.doubtful, ElementsAre(Endpoint(2)));
      EXPECT_TRUE(agent_->health().ok());
    }
    api_.not_ready.clear();  // the count begins anew
    NextPoll();
    EXPECT_THAT(balancer_.doubtful, IsEmpty());
  }
  api_.not_ready[Url(2)] = "no answer";
  for (int i = 0; i < kMissesMax; ++i) NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(3)));
  EXPECT_THAT(balancer_.doubtful, IsEmpty());
  api_.not_ready.clear();
  NextPoll();
  EXPECT_THAT(balancer_.now, all);
}

TEST_F(AgentTest, AsksEachServerOnce) {
  Start();
  NextPoll();
  EXPECT_THAT(api_.asked, ElementsAre(Pair(Url(1), 2), Pair(Url(2), 2), Pair(Url(3), 2)));
}

TEST_F(AgentTest, TheServerItWasToldOfIsNeededOnlyToFindTheOthers) {
  const std::string name = "https://servers.example:9345";
  Start(name);
  EXPECT_THAT(api_.kept_alive, ElementsAre(name));
  api_.not_ready[name] = "no such host";
  api_.not_ready[Url(1)] = "connection refused";
  for (int i = 0; i < 4; ++i) NextPoll();  // 12 s
  EXPECT_THAT(api_.kept_alive, ElementsAre(name, Url(2)));
  EXPECT_TRUE(agent_->health().ok());
}

// --- which cluster ---

TEST_F(AgentTest, FollowsTheClusterThatItsOwnWasRestoredToAndNeverGoesBack) {
  Start(Url(2));
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  // Restored on the first; the others still serve what was before.
  api_.others[Url(1)] = {.id = "c2", .former_ids = {"c0", "c1"}, .servers = {Server(1)}};
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1)));
  EXPECT_TRUE(agent_->health().ok());
  api_.not_ready[Url(1)] = "down";
  for (int start = 0; start < 2; ++start) {
    for (int i = 0; i < kMissesMax; ++i) NextPoll();
    EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1)));
    EXPECT_EQ(MessageOf(agent_->health()),
              "no server tells about the cluster: https://192.0.2.2:9345: it is of cluster c1, and "
              "this agent follows c2");
    Start(Url(2));  // it remembers
  }
}

TEST_F(AgentTest, AServerOfAnotherClusterIsNoBackendUnlessItWasToldOfIt) {
  api_.others[Url(3)] = {.id = "c9", .former_ids = {}, .servers = {Server(3), Server(4)}};
  Start();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2)));
  api_.others.clear();
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  // One that was a backend goes at once, also while nobody else answers.
  api_.others[Url(3)] = {.id = "c9", .former_ids = {}, .servers = {Server(3)}};
  api_.not_ready = {{Url(1), "down"}, {Url(2), "down"}};
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2)));
  EXPECT_FALSE(agent_->health().ok());
  // Where --server leads now.
  api_.not_ready.clear();
  api_.others[Url(1)] = {.id = "c5", .former_ids = {}, .servers = {Server(1), Server(5)}};
  api_.others[Url(5)] = api_.others[Url(1)];
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(5)));
  EXPECT_TRUE(agent_->health().ok());
}

TEST_F(AgentTest, AStartFindsTheServersItKnewBefore) {
  Start();
  EXPECT_EQ(State(),
            R"({
 "ServerURL": "https://192.0.2.1:9345",
 "ClusterID": "c1",
 "FormerClusterIDs": [],
 "Servers": [
  {
   "Name": "server-1",
   "SupervisorURL": "https://192.0.2.1:9345",
   "Endpoint": "192.0.2.1:2379"
  },
  {
   "Name": "server-2",
   "SupervisorURL": "https://192.0.2.2:9345",
   "Endpoint": "192.0.2.2:2379"
  },
  {
   "Name": "server-3",
   "SupervisorURL": "https://192.0.2.3:9345",
   "Endpoint": "192.0.2.3:2379"
  }
 ]
}
)");
  EXPECT_EQ(fs_.Stat(kStateFile)->mode, 0600u);
  balancer_.now.clear();
  api_.not_ready = {{Url(1), "down"}, {Url(2), "down"}, {Url(3), "down"}};
  Start();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_FALSE(agent_->health().ok());
  api_.not_ready.erase(Url(3));
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_THAT(balancer_.doubtful, ElementsAre(Endpoint(1), Endpoint(2)));
  EXPECT_TRUE(agent_->health().ok());
}

TEST_F(AgentTest, WhatWasKnownOfAnotherServerUrlIsNotUsed) {
  Start();
  balancer_.now.clear();
  const std::string other = "https://198.51.100.1:9345";
  api_.not_ready[other] = "down";
  api_.asked.clear();
  Start(other);
  EXPECT_THAT(balancer_.now, IsEmpty());
  EXPECT_THAT(api_.asked, ElementsAre(Pair(other, 1)));
}

TEST_F(AgentTest, AStateFileThatCannotBeReadIsAsNone) {
  for (const std::string text :
       {"", "{", "[]", "{}", R"({"ServerURL":"https://192.0.2.1:9345","Servers":{}})",
        R"({"ServerURL":"https://192.0.2.1:9345","Servers":[1]})",
        R"({"ServerURL":"https://192.0.2.1:9345","Servers":[{"Name":"x","Endpoint":1}]})"}) {
    ASSERT_TRUE(MakeDirectories(fs_, "/data/agent/etc", 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(fs_, kStateFile, text, 0600).ok());
    Start();
    EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3))) << text;
    EXPECT_THAT(State(), HasSubstr("server-3")) << text;
  }
}

TEST_F(AgentTest, SaysThatItLivesEveryTenSecondsAndSaysAgainWhatWasNotHeard) {
  Start();
  EXPECT_THAT(api_.kept_alive, ElementsAre(Url(1)));
  for (int i = 0; i < 3; ++i) NextPoll();  // 9 s
  EXPECT_EQ(api_.kept_alive.size(), 1u);
  api_.keep_alive_error = UnauthenticatedError("the token is wrong");
  api_.not_ready[Url(1)] = "down";
  NextPoll();
  EXPECT_THAT(api_.kept_alive, ElementsAre(Url(1), Url(2)));
  EXPECT_EQ(MessageOf(agent_->health()),
            "tell https://192.0.2.2:9345 that this agent lives: the token is wrong");
  NextPoll();
  EXPECT_EQ(api_.kept_alive.size(), 3u);
  api_.keep_alive_error = OkStatus();
  NextPoll();
  EXPECT_EQ(api_.kept_alive.size(), 4u);
  EXPECT_TRUE(agent_->health().ok());
  NextPoll();
  EXPECT_EQ(api_.kept_alive.size(), 4u);
}

TEST_F(AgentTest, OnceItWasRemovedItAsksNobodyAnyMore) {
  Start();
  EXPECT_TRUE(agent_->removed().ok());
  api_.keep_alive_error = PermissionDeniedError("agent a was removed from the cluster");
  for (int i = 0; i < 3; ++i) NextPoll();  // 9 s: nobody was told yet
  EXPECT_TRUE(agent_->removed().ok());
  clock_.Advance(clock_.WaitForSleep());
  while (agent_->removed().ok()) std::this_thread::yield();
  EXPECT_EQ(MessageOf(agent_->removed()), "agent a was removed from the cluster");
  agent_.reset();  // its thread has ended by itself
  EXPECT_EQ(api_.kept_alive.size(), 2u);
}

TEST_F(AgentTest, AListThatDoesNotComeOrIsEmptyChangesNothing) {
  Start();
  api_.servers.clear();
  NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_THAT(MessageOf(agent_->health()), HasSubstr("it knows of no server"));
  api_.look_error = UnauthenticatedError("the token is wrong");
  for (int i = 0; i < kMissesMax; ++i) NextPoll();
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_EQ(agent_->health().code(), StatusCode::kUnauthenticated);
}

TEST_F(AgentTest, WithoutAPlaceToRememberItWorks) {
  testing::FaultFs full(fs_);
  full.FailAt(1, ResourceExhaustedError("no space left on device"), /*for_ever=*/true);
  const Agent agent(full, clock_, api_, balancer_,
                    {.server_url = Url(1), .state_file = kStateFile});
  clock_.WaitForSleep();
  EXPECT_TRUE(agent.health().ok());
  EXPECT_THAT(balancer_.now, ElementsAre(Endpoint(1), Endpoint(2), Endpoint(3)));
  EXPECT_FALSE(Exists(fs_, kStateFile).value());
}
}  // namespace
}  // namespace holdfast
