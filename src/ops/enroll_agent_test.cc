#include "ops/enroll_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/path.h"
#include "keys/pki.h"
#include "keys/token.h"
#include "os/atomic_file.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// Sleeping takes no time.
class JumpingClock final : public Clock {
 public:
  absl::Time Now() override { return now; }
  absl::Duration Steady() override { return steady_; }
  bool Sleep(absl::Duration length, std::stop_token stop) override {
    steady_ += length;
    if (on_sleep) on_sleep();
    return !stop.stop_requested();
  }
  absl::Time now = kNow;
  std::function<void()> on_sleep;

 private:
  absl::Duration steady_;
};

const KeyPair& Ca() {
  static const KeyPair ca = MakeCa({.common_name = "ca", .now = kNow}).value();
  return ca;
}

// A server that knows one user and its password.
class FakeServer final : public HttpClient {
 public:
  StatusOr<HttpResponse> Do(const HttpRequest& request) override {
    ++calls;
    RETURN_IF_ERROR(failure);
    if (request.url == "https://h:9345/cacerts") return Answer(Ca().certificate_pem);
    if (request.url != "https://h:9345/v1-x/client-certificate" || request.method != "POST")
      return HttpResponse{.code = 404};
    users.push_back(request.user);
    if (request.user != user || request.password.reveal() != "pw") return HttpResponse{.code = 401};
    ++made;
    auto leaf = MakeLeaf(Ca(), {.common_name = "x-agent-" + *DecodeNodeName(request.body),
                                .client_auth = true,
                                .now = now});
    return Answer(ClientCertificate{.certificate_pem = leaf->certificate_pem,
                                    .ca_pem = Ca().certificate_pem,
                                    .key_pem = leaf->key_pem}
                      .Encode());
  }
  static HttpResponse Answer(const std::string& body) {
    return {.code = 200, .content_type = "", .headers = {}, .body = body};
  }
  std::string user = "node";
  absl::Time now = kNow;
  Status failure;
  int calls = 0, made = 0;
  std::vector<std::string> users;
};

class EnrollAgentTest : public ::testing::Test {
 protected:
  StatusOr<SupervisorAccess> Enroll() {
    ASSIGN_OR_RETURN(const AgentAccess agent, EnrollAgent(fs_, clock_, server_, request_));
    return agent.access();
  }
  Status Renew(const SupervisorAccess& as) {
    SupervisorClient client(server_, "https://h:9345", as);
    return RenewAgentCertificate(fs_, clock_, client, request_);
  }
  std::string Certificate() { return ReadFile(fs_, Path("client.crt"), 1 << 20).value_or(""); }
  std::string Path(const char* name) { return JoinPath("/data/agent/tls", name); }
  void Use(const std::string& token) { request_.token = Secret(token); }

  testing::MemoryFs fs_;
  JumpingClock clock_;
  FakeServer server_;
  std::stop_source stop_;
  EnrollRequest request_{.agent_dir = "/data/agent",
                         .server_url = "https://h:9345",
                         .token = Secret("K10" + *CaHash(Ca().certificate_pem) + "::node:pw"),
                         .distribution = "x",
                         .node_name = "w1",
                         .stop = stop_.get_token()};
};

TEST_F(EnrollAgentTest, WhatItGetsIsKeptAndTheNextStartAsksNobody) {
  const auto access = Enroll();
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->user, "node");
  EXPECT_EQ(access->ca_pem, Ca().certificate_pem);
  EXPECT_EQ(fs_.Stat(Path("client.key"))->mode, 0600u);
  EXPECT_EQ(fs_.Stat(Path("client.crt"))->mode, 0600u);
  EXPECT_EQ(fs_.Stat(Path("etcd-server-ca.crt"))->mode, 0644u);
  const int calls = server_.calls;
  server_.failure = UnavailableError("down");
  const auto again = Enroll();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->user, "node");
  EXPECT_EQ(again->password.reveal(), "pw");
  EXPECT_EQ(again->ca_pem, Ca().certificate_pem);
  EXPECT_EQ(server_.calls, calls);
}

TEST_F(EnrollAgentTest, WhatIsMissingDamagedOrExpiredIsAskedForAgain) {
  int made = 0;
  const auto asks_again = [&] {
    EXPECT_TRUE(Enroll().ok());
    return server_.made == ++made;
  };
  EXPECT_TRUE(asks_again());
  for (const char* name : {"server-ca.crt", "etcd-server-ca.crt", "client.crt", "client.key"}) {
    ASSERT_TRUE(fs_.RemoveFile(Path(name)).ok());
    EXPECT_TRUE(asks_again()) << name;
    ASSERT_TRUE(WriteFileAtomically(fs_, Path(name), "damaged", 0600).ok());
    EXPECT_TRUE(asks_again()) << name;
  }
  request_.node_name = "w2";
  EXPECT_TRUE(asks_again());
  server_.now = clock_.now = kNow + absl::Hours(24 * 400);
  EXPECT_TRUE(asks_again());
}

TEST_F(EnrollAgentTest, ACertificateThatExpiresSoonDoesForAStartAndIsRenewedByWhoeverAnswers) {
  const SupervisorAccess access = Enroll().value();
  const std::string first = Certificate();
  ASSERT_TRUE(Renew(access).ok());
  EXPECT_EQ(Certificate(), first) << "it lasts";
  server_.now = clock_.now = kNow + absl::Hours(24 * 300);
  server_.failure = UnavailableError("down");
  ASSERT_TRUE(Enroll().ok()) << "the others are there";
  EXPECT_EQ(clock_.Steady(), absl::ZeroDuration());
  EXPECT_FALSE(Renew(access).ok());
  EXPECT_EQ(Certificate(), first);
  server_.failure = OkStatus();
  ASSERT_TRUE(Renew(access).ok());
  EXPECT_NE(Certificate(), first);
  EXPECT_EQ(server_.made, 2);
  ASSERT_TRUE(Renew(access).ok());
  EXPECT_EQ(server_.made, 2);
}

TEST_F(EnrollAgentTest, ItWaitsForTheServerButNotForEver) {
  server_.failure = UnavailableError("refused");
  clock_.on_sleep = [&] {
    if (clock_.Steady() >= absl::Minutes(4)) server_.failure = OkStatus();
  };
  EXPECT_TRUE(Enroll().ok());
  ASSERT_TRUE(fs_.RemoveFile(Path("client.crt")).ok());
  server_.failure = UnavailableError("refused");
  clock_.on_sleep = nullptr;
  const Status late = Enroll().status();
  EXPECT_EQ(late.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(MessageOf(late), HasSubstr("did not answer within 5m0s: refused"));
  clock_.on_sleep = [&] { stop_.request_stop(); };
  EXPECT_EQ(Enroll().status().code(), StatusCode::kCancelled);
}

TEST_F(EnrollAgentTest, AWrongTokenEndsItAtOnce) {
  Use("K10" + *CaHash(Ca().certificate_pem) + "::node:guess");
  const Status wrong = Enroll().status();
  EXPECT_EQ(wrong.code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(HintOf(wrong), HasSubstr("token show"));
  Use("K10" + std::string(64, '0') + "::node:pw");
  EXPECT_EQ(Enroll().status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(clock_.Steady(), absl::ZeroDuration());
  EXPECT_FALSE(Exists(fs_, Path("client.crt")).value());
  // Files of another cluster do not help with this token, nor this token with them.
  Use("pw");
  ASSERT_TRUE(Enroll().ok());
  Use("K10" + std::string(64, '0') + "::node:pw");
  EXPECT_EQ(Enroll().status().code(), StatusCode::kUnauthenticated);
}

TEST_F(EnrollAgentTest, ABarePasswordMayBeTheServers) {
  server_.user = "server";
  Use("pw");
  const auto access = Enroll();
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->user, "server");
  EXPECT_THAT(server_.users, ::testing::ElementsAre("node", "server"));
  // The next start asks nobody, and finds out when it calls.
  AgentAccess agent = EnrollAgent(fs_, clock_, server_, request_).value();
  std::vector<std::string> called;
  const auto call = [&](const SupervisorAccess& as) -> Status {
    called.push_back(as.user);
    return as.user == server_.user ? OkStatus() : UnauthenticatedError("no");
  };
  EXPECT_TRUE(agent.Call(call).ok());
  EXPECT_TRUE(agent.Call(call).ok());
  EXPECT_THAT(called, ::testing::ElementsAre("node", "server", "server"));
  server_.user = "nobody";
  EXPECT_TRUE(absl::IsUnauthenticated(agent.Call(call)));
  Use("K10" + *CaHash(Ca().certificate_pem) + "::node:pw");  // this one says whose it is
  agent = EnrollAgent(fs_, clock_, server_, request_).value();
  called.clear();
  EXPECT_FALSE(agent.Call(call).ok());
  EXPECT_THAT(called, ::testing::ElementsAre("node"));
}

}  // namespace
}  // namespace holdfast
