#include "ops/join.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys/pki.h"
#include "testing/fake_etcd.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

// Sleeping takes no time.
class JumpingClock final : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch() + steady_; }
  absl::Duration Steady() override { return steady_; }
  bool Sleep(absl::Duration length, std::stop_token stop) override {
    steady_ += length;
    if (on_sleep) on_sleep();
    return !stop.stop_requested();
  }
  std::function<void()> on_sleep;

 private:
  absl::Duration steady_;
};

const std::string& Ca() {
  static const std::string pem =
      MakeCa({.common_name = "ca", .now = absl::FromUnixSeconds(1'700'000'000)})
          .value()
          .certificate_pem;
  return pem;
}

// A server by its paths.
class FakeServer final : public HttpClient {
 public:
  StatusOr<HttpResponse> Do(const HttpRequest& request) override {
    ++calls;
    RETURN_IF_ERROR(failure);
    const std::string path = request.url.substr(std::string("https://h:9345").size());
    if (path != "/cacerts" && request.password.reveal() != "pw") return HttpResponse{.code = 401};
    const auto it = answers.find(path);
    if (it == answers.end()) return HttpResponse{.code = 404};
    return HttpResponse{.code = 200, .content_type = "", .body = it->second};
  }
  std::map<std::string, std::string> answers = {
      {"/cacerts", Ca()},
      {"/v1-x/config", R"({"a":"1"})"},
      {"/db/info",
       R"({"members":[{"ID":1,"name":"n1-0123abcd","peerURLs":["p1"],"clientURLs":["c1"]}],)"
       R"("clusterID":"c1","formerClusterIDs":["b1"]})"},
      {"/v1-x/server-bootstrap", EncodeBootstrap({{"ClientCA", {"pem", absl::UnixEpoch()}}})}};
  Status failure;
  int calls = 0;
};

class JoinTest : public ::testing::Test {
 protected:
  StatusOr<JoinedCluster> Fetch() { return FetchCluster(clock_, server_, request_); }
  StatusOr<std::string> Add() {
    SupervisorClient supervisor(server_, "https://h:9345",
                                {.password = Secret("pw"), .ca_pem = Ca()});
    // Each attempt has a client of its own; the test's etcd stays.
    const auto connect =
        [this](const std::vector<std::string>& urls) -> StatusOr<std::unique_ptr<etcd::Client>> {
      urls_ = urls;
      RETURN_IF_ERROR(unreachable_);
      auto client = std::make_unique<testing::FakeEtcd>();
      client->members = etcd_members_;
      client->refuse = [this](std::string_view call) -> Status {
        if (call != "member add" || refusals_ == 0) return OkStatus();
        --refusals_;
        return refusal_;
      };
      return client;
    };
    return AddSelf(clock_, supervisor, connect, request_, "n2-00000000");
  }

  JumpingClock clock_;
  FakeServer server_;
  std::vector<etcd::MemberInfo> etcd_members_ = {
      {.id = 1, .name = "n1-0123abcd", .peer_urls = {"p1"}}};
  std::vector<std::string> urls_;
  Status unreachable_, refusal_;
  int refusals_ = 0;
  std::stop_source stop_;
  JoinRequest request_{.server_url = "https://h:9345",
                       .token = Secret("pw"),
                       .distribution = "x",
                       .node_name = "n2",
                       .peer_url = "p2",
                       .config = {{{"a", "1"}}},
                       .stop = stop_.get_token()};
};

TEST_F(JoinTest, EverythingTheClusterToldIsThere) {
  const auto joined = Fetch();
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->bootstrap.at("ClientCA").content, "pem");
  EXPECT_EQ(joined->info.former_cluster_ids, std::vector<std::string>{"b1"});
  EXPECT_EQ(joined->access.ca_pem, Ca());
}

TEST_F(JoinTest, AServerThatIsNotThereYetIsWaitedForButNotForEver) {
  server_.failure = UnavailableError("refused");
  int sleeps = 0;
  clock_.on_sleep = [&] {
    if (++sleeps == 20) server_.failure = OkStatus();
  };
  EXPECT_TRUE(Fetch().ok());
  server_.failure = UnavailableError("refused");
  const absl::Duration start = clock_.Steady();
  const Status status = Fetch().status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(MessageOf(status), HasSubstr("refused"));
  EXPECT_EQ(clock_.Steady() - start, absl::Minutes(5));
}

TEST_F(JoinTest, WhatWaitingDoesNotHealIsSaidAtOnce) {
  request_.token = Secret("wrong");
  EXPECT_EQ(Fetch().status().code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(HintOf(Fetch().status()), HasSubstr("--token"));
  request_.token = Secret("K10" + std::string(64, 'a') + "::server:pw");
  EXPECT_EQ(Fetch().status().code(), StatusCode::kUnauthenticated);
  request_.token = Secret("pw");
  request_.config.values["a"] = "2";
  const Status differs = Fetch().status();
  EXPECT_EQ(differs.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(differs), HasSubstr("critical configuration value mismatch"));
  EXPECT_THAT(MessageOf(differs), HasSubstr("a is 2 here and 1 there"));
  EXPECT_EQ(clock_.Steady(), absl::ZeroDuration());
}

TEST_F(JoinTest, AStopEndsTheWait) {
  server_.failure = UnavailableError("refused");
  clock_.on_sleep = [&] { stop_.request_stop(); };
  EXPECT_TRUE(absl::IsCancelled(Fetch().status()));
}

TEST_F(JoinTest, TheListOfMembersDecides) {
  const auto decide = [](std::vector<etcd::MemberInfo> members) {
    return DecideJoin(members, "n2", "p2");
  };
  EXPECT_EQ(decide({{.id = 1, .name = "n1-0123abcd", .peer_urls = {"p1"}}}), JoinStep::kAdd);
  EXPECT_EQ(decide({{.id = 2, .name = "", .peer_urls = {"p2"}}}), JoinStep::kUseAgain);
  EXPECT_EQ(decide({{.id = 2, .name = "n2-0123abcd", .peer_urls = {"p9"}}}), JoinStep::kDuplicate);
  EXPECT_EQ(decide({{.id = 2, .name = "n2-0123abcd", .peer_urls = {"p2"}}}), JoinStep::kDuplicate);
  EXPECT_EQ(decide({{.id = 2, .name = "n3-0123abcd", .peer_urls = {"p2"}}}),
            JoinStep::kPeerUrlTaken);
  EXPECT_EQ(decide({{.id = 2, .name = "n2-x-0123abcd", .peer_urls = {"p9"}}}), JoinStep::kAdd);
}

TEST_F(JoinTest, TheNewMemberStandsInTheInitialCluster) {
  EXPECT_EQ(Add().value(), "n1-0123abcd=p1,n2-00000000=p2");
  EXPECT_EQ(urls_, std::vector<std::string>{"c1"});
  // Added by a start that crashed: not a second time.
  etcd_members_.push_back(
      {.id = 0xb2, .name = "", .peer_urls = {"p2"}, .client_urls = {}, .is_learner = true});
  etcd_members_.push_back({.id = 0xb3, .name = "", .peer_urls = {"p3"}});
  refusals_ = 1;
  refusal_ = InternalError("added again");
  EXPECT_EQ(Add().value(), "n1-0123abcd=p1,n2-00000000=p2,b3=p3");
}

TEST_F(JoinTest, ReasonsThatPassAreWaitedFor) {
  for (const char* reason :
       {"etcdserver: too many learner members in cluster", "etcdserver: unhealthy cluster"}) {
    refusal_ = FailedPreconditionError("{}", reason);
    refusals_ = 30;
    EXPECT_TRUE(Add().ok()) << reason;
  }
  unreachable_ = UnavailableError("no answer");
  const Status status = Add().status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(MessageOf(status), HasSubstr("etcd cluster join failed"));
  EXPECT_THAT(MessageOf(status), HasSubstr("no answer"));
}

TEST_F(JoinTest, ADuplicateNameIsRefusedWithTheWayOut) {
  etcd_members_.push_back({.id = 5, .name = "n2-0123abcd", .peer_urls = {"p7"}});
  const Status status = Add().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status),
              HasSubstr("duplicate node name found, please use a unique name for this node"));
  EXPECT_THAT(HintOf(status), HasSubstr("node remove n2"));
}

}  // namespace
}  // namespace holdfast
