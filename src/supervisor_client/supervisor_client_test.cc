#include "supervisor_client/supervisor_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys/pki.h"
#include "keys/token.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string& Ca() {
  static const std::string pem =
      MakeCa({.common_name = "ca", .now = absl::FromUnixSeconds(1'700'000'000)})
          .value()
          .certificate_pem;
  return pem;
}

// Answers /cacerts, and everything else as the test says.
class FakeHttp final : public HttpClient {
 public:
  StatusOr<HttpResponse> Do(const HttpRequest& request) override {
    requests.push_back(request);
    if (request.url.ends_with("/cacerts")) return cacerts;
    RETURN_IF_ERROR(failure);
    if (code < 200 || code >= 300)
      return HttpResponse{.code = code,
                          .content_type = "application/json",
                          .body = pieces.empty() ? "" : pieces[0]};
    for (const std::string& piece : pieces) RETURN_IF_ERROR(request.on_body(piece));
    return HttpResponse{.code = code, .content_type = "application/x-ndjson", .body = ""};
  }

  StatusOr<HttpResponse> cacerts =
      HttpResponse{.code = 200, .content_type = "text/plain", .body = Ca()};
  Status failure;
  int code = 200;
  std::vector<std::string> pieces;
  std::vector<HttpRequest> requests;
};

class SupervisorClientTest : public ::testing::Test {
 protected:
  StatusOr<SupervisorClient> Connect(const std::string& token,
                                     const std::string& url = "https://h:9345") {
    return SupervisorClient::Connect(http_, url, Secret(token));
  }
  StatusOr<std::string> Ask(std::vector<std::string> pieces, int code = 200) {
    http_.code = code;
    http_.pieces = std::move(pieces);
    seen_.clear();
    return Connect("pw")->Snapshot({.operation = "save", .names = {"x"}},
                                   [this](const Progress& p) { seen_.push_back(p.done); });
  }

  FakeHttp http_;
  std::vector<std::uint64_t> seen_;
};

TEST_F(SupervisorClientTest, TheCaMustBeTheOneOfTheToken) {
  const std::string hash = CaHash(Ca()).value();
  EXPECT_TRUE(Connect("K10" + hash + "::server:pw").ok());
  EXPECT_TRUE(Connect("pw").ok());  // trusts at first use
  const std::string other(64, 'a');
  const Status status = Connect("K10" + other + "::server:pw").status();
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_EQ(MessageOf(status), "token CA hash does not match the Cluster CA certificate hash: " +
                                   other + " != " + hash);
  EXPECT_THAT(HintOf(status), HasSubstr("https://h:9345"));
  // Only this one request goes out before that is known, without any secret.
  EXPECT_EQ(http_.requests.size(), 3u);
  for (const HttpRequest& request : http_.requests) {
    EXPECT_EQ(request.url, "https://h:9345/cacerts");
    EXPECT_TRUE(request.skip_verify);
    EXPECT_TRUE(request.user.empty() && request.password.empty());
  }
}

TEST_F(SupervisorClientTest, WhatCannotWorkIsRefusedBeforeAnythingIsSent) {
  for (const char* url : {"http://h:9345", "h:9345", ""}) {
    EXPECT_EQ(Connect("pw", url).status().code(), StatusCode::kInvalidArgument) << url;
  }
  for (const char* token : {"", "K10abc::server:pw", "abcdef.0123456789abcdef"}) {
    EXPECT_EQ(Connect(token).status().code(), StatusCode::kInvalidArgument) << token;
  }
  EXPECT_TRUE(http_.requests.empty());
}

TEST_F(SupervisorClientTest, AServerThatIsNoneOfOursIsSaid) {
  http_.cacerts =
      HttpResponse{.code = 404, .content_type = "text/html", .body = "<html>not here</html>"};
  EXPECT_EQ(Connect("pw").status().code(), StatusCode::kNotFound);
  http_.cacerts =
      HttpResponse{.code = 200, .content_type = "text/html", .body = "<html>welcome</html>"};
  EXPECT_THAT(MessageOf(Connect("pw").status()), HasSubstr("https://h:9345/cacerts"));
  http_.cacerts = UnavailableError("refused");
  EXPECT_TRUE(absl::IsUnavailable(Connect("pw").status()));
}

TEST_F(SupervisorClientTest, TheCallCarriesThePasswordAndTrustsOnlyThatCa) {
  ASSERT_TRUE(Ask({"{\"result\":{}}\n"}).ok());
  const HttpRequest& call = http_.requests.back();
  EXPECT_EQ(call.method, "POST");
  EXPECT_EQ(call.url, "https://h:9345/db/snapshot");
  EXPECT_EQ(call.user, "server");
  EXPECT_EQ(call.password.reveal(), "pw");
  EXPECT_EQ(call.ca_pem, Ca());
  EXPECT_FALSE(call.skip_verify);
  EXPECT_THAT(call.headers, Contains("Accept: application/x-ndjson"));
  EXPECT_EQ(call.body, R"({"operation":"save","name":["x"]})");
}

TEST_F(SupervisorClientTest, PatienceIsThatOfEveryCall) {
  http_.pieces = {"{\"result\":{}}\n"};
  SupervisorClient client = Connect("pw").value();
  client.SetPatience(absl::Seconds(2));
  ASSERT_TRUE(client.Snapshot({.operation = "list", .names = {}}, {}).ok());
  EXPECT_EQ(http_.requests.back().connect_timeout, absl::Seconds(2));
  EXPECT_EQ(http_.requests.back().stall_timeout, absl::Seconds(2));
  http_.failure = UnavailableError("silent");
  EXPECT_FALSE(client.Info().ok());
  EXPECT_EQ(http_.requests.back().connect_timeout, absl::Seconds(2));
  EXPECT_EQ(http_.requests.back().stall_timeout, absl::Seconds(2));
}

TEST_F(SupervisorClientTest, LinesMayComeInAnyPieces) {
  const std::string text =
      "{\"progress\":{\"done\":1,\"total\":9}}\n{\"progress\":{\"done\":5,\"total\":9}}\n{"
      "\"result\":{\"created\":[\"x-1\"]}}\n";
  for (std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{40}, text.size()}) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size(); at += size) pieces.push_back(text.substr(at, size));
    EXPECT_EQ(Ask(pieces).value(), R"({"created":["x-1"]})");
    EXPECT_THAT(seen_, ElementsAre(1, 5));
  }
}

TEST_F(SupervisorClientTest, ASignOfLifeIsNoProgress) {
  EXPECT_TRUE(Ask({EncodeProgressLine({}), EncodeProgressLine({.done = 3, .total = 9}),
                   EncodeProgressLine({}), "{\"result\":{}}\n"})
                  .ok());
  EXPECT_THAT(seen_, ElementsAre(3));
}

TEST_F(SupervisorClientTest, AnErrorComesAsTheServerMadeIt) {
  const Status status = WithHint(AbortedError("snapshot save already in progress"), "Wait.");
  Status got = Ask({EncodeError(status)}, 409).status();
  EXPECT_TRUE(absl::IsAborted(got));
  EXPECT_EQ(HintOf(got), "Wait.");
  got = Ask({"{\"progress\":{\"done\":1,\"total\":9}}\n", EncodeErrorLine(status)}).status();
  EXPECT_TRUE(absl::IsAborted(got));
  EXPECT_EQ(MessageOf(got), "snapshot save already in progress");
  EXPECT_THAT(seen_, ElementsAre(1));
  // RKE2's own server has other words for it.
  got =
      Ask({R"({"kind":"Status","message":"Internal error occurred: etcd-snapshot error ID 12345"})"},
          500)
          .status();
  EXPECT_EQ(MessageOf(got), "Internal error occurred: etcd-snapshot error ID 12345");
  EXPECT_EQ(MessageOf(Ask({"bad gateway"}, 502).status()),
            "the server answered with HTTP 502: bad gateway");
  EXPECT_TRUE(absl::IsUnauthenticated(Ask({""}, 401).status()));
}

TEST_F(SupervisorClientTest, AnAnswerThatBreaksOffIsNoSuccess) {
  for (const std::vector<std::string>& pieces : std::vector<std::vector<std::string>>{
           {}, {"{\"progress\":{\"done\":1,\"total\":9}}\n"}, {"{\"result\":{}}"}, {"{\"resu"}}) {
    EXPECT_TRUE(absl::IsUnavailable(Ask(pieces).status()));
  }
  EXPECT_FALSE(Ask({"<html>\n"}).ok());
  http_.failure = DeadlineExceededError("nothing for a minute");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Ask({}).status()));
}

TEST_F(SupervisorClientTest, ALineWithoutEndIsNotKeptForEver) {
  const std::vector<std::string> pieces(70, std::string(1 << 20, 'x'));
  EXPECT_EQ(Ask(pieces).status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace holdfast
