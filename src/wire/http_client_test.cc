// Against real sockets: a server that says what the test wrote down, and the supervisor's own for
// TLS.
#include "wire/http_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "api/http_server.h"
#include "keys/pki.h"
#include "os/fd.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Takes one connection, reads a request, and answers.
class OneAnswer {
 public:
  // `hold`: it stays silent and open after the answer, until the client goes.
  explicit OneAnswer(std::string answer, bool hold = false)
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::jthread([this, answer = std::move(answer), hold] {
      const Fd peer(::accept(listener_.get(), nullptr, nullptr));
      char piece[4096];
      while (request_.find("\r\n\r\n") == std::string::npos ||
             request_.size() < request_.find("\r\n\r\n") + 4 + ContentLength()) {
        const ssize_t n = ::recv(peer.get(), piece, sizeof piece, 0);
        if (n <= 0) return;
        request_.append(piece, static_cast<std::size_t>(n));
      }
      EXPECT_EQ(::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
      while (hold && ::recv(peer.get(), piece, sizeof piece, 0) > 0) {
      }
    });
  }

  std::string url() const { return fmt::format("http://127.0.0.1:{}/path", port_); }
  // What the client sent. After its answer.
  const std::string& request() {
    thread_ = {};
    return request_;
  }

 private:
  std::size_t ContentLength() const {
    const auto at = request_.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(request_.substr(at + 16));
  }

  Fd listener_;
  int port_ = 0;
  std::string request_;
  std::jthread thread_;
};

std::string Answer(const std::string& body, const char* code = "200 OK") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: text/x\r\nContent-Length: {}\r\n\r\n{}", code,
                     body.size(), body);
}

TEST(HttpClient, GetsAnAnswerWhateverItsCode) {
  const auto client = MakeHttpClient();
  for (const char* code : {"200 OK", "404 Not Found", "500 Oops"}) {
    OneAnswer server(Answer("the body", code));
    const auto answer = client->Do({.url = server.url()});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->code, std::stoi(code));
    EXPECT_EQ(answer->body, "the body");
    EXPECT_EQ(answer->content_type, "text/x");
    EXPECT_THAT(server.request(), StartsWith("GET /path HTTP/1.1\r\n"));
  }
}

TEST(HttpClient, SendsBodyHeadersAndCredentials) {
  OneAnswer server(Answer(""));
  const std::string body(5000, 'b');
  ASSERT_TRUE(MakeHttpClient()
                  ->Do({.method = "POST",
                        .url = server.url(),
                        .headers = {"X-Mine: yes"},
                        .body = body,
                        .user = "server",
                        .password = Secret("pw")})
                  .ok());
  const std::string& request = server.request();
  EXPECT_THAT(request, StartsWith("POST /path HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Mine: yes\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Basic c2VydmVyOnB3\r\n"));
  EXPECT_THAT(request, HasSubstr("Content-Length: 5000\r\n"));
  EXPECT_EQ(request.find("Expect"), std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\n\r\n" + body));
}

TEST(HttpClient, NothingOfARequestStaysForTheNext) {
  const auto client = MakeHttpClient();
  OneAnswer first(Answer("")), second(Answer("x"));
  ASSERT_TRUE(client
                  ->Do({.method = "POST",
                        .url = first.url(),
                        .headers = {"X-Mine: yes"},
                        .body = "b",
                        .user = "u",
                        .password = Secret("p")})
                  .ok());
  EXPECT_EQ(client->Do({.url = second.url()})->body, "x");
  for (const char* word : {"Authorization", "X-Mine", "POST", "Content-Length"})
    EXPECT_EQ(second.request().find(word), std::string::npos) << word;
}

TEST(HttpClient, TheBodyMayBeTakenAsItComesIfTheCodeIsGood) {
  std::string taken;
  const auto take = [&](std::string_view piece) {
    taken += piece;
    return OkStatus();
  };
  OneAnswer good(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
  auto answer = MakeHttpClient()->Do({.url = good.url(), .on_body = take});
  EXPECT_EQ(answer->body, "");
  EXPECT_EQ(taken, "onetwo");
  OneAnswer bad(Answer("no", "500 Oops"));
  answer = MakeHttpClient()->Do({.url = bad.url(), .on_body = take});
  EXPECT_EQ(answer->body, "no");
  EXPECT_EQ(taken, "onetwo");
  OneAnswer refused(Answer("three"));
  EXPECT_TRUE(
      absl::IsDataLoss(MakeHttpClient()
                           ->Do({.url = refused.url(),
                                 .on_body = [](std::string_view) { return DataLossError("bad"); }})
                           .status()));
}

TEST(HttpClient, ABodyThatIsTooLongIsNotKept) {
  OneAnswer server(Answer(std::string(5000, 'x')));
  EXPECT_EQ(MakeHttpClient()->Do({.url = server.url(), .body_bytes_max = 4000}).status().code(),
            StatusCode::kResourceExhausted);
}

TEST(HttpClient, AnAnswerThatBreaksOffOrStallsIsAnError) {
  OneAnswer broken("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  EXPECT_TRUE(absl::IsUnavailable(MakeHttpClient()->Do({.url = broken.url()}).status()));
  OneAnswer no_http("SSH-2.0-OpenSSH_9.2\r\n");
  EXPECT_TRUE(absl::IsUnavailable(MakeHttpClient()->Do({.url = no_http.url()}).status()));
  OneAnswer stalled("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nxx", /*hold=*/true);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      MakeHttpClient()->Do({.url = stalled.url(), .stall_timeout = absl::Seconds(1)}).status()));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(4));
}

TEST(HttpClient, NobodyThereAndNoUrlAreToldApart) {
  std::string url;
  {
    OneAnswer gone(Answer(""));
    url = gone.url();
    ASSERT_TRUE(MakeHttpClient()->Do({.url = url}).ok());
  }
  const Status refused = MakeHttpClient()->Do({.url = url}).status();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_THAT(MessageOf(refused), StartsWith(url + ": "));
  for (const char* bad : {"", "ftp://127.0.0.1/", "https://[::1", "file:///etc/passwd"}) {
    EXPECT_EQ(MakeHttpClient()->Do({.url = bad}).status().code(), StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(HttpClient, AClientLivesOnAfterANameThatIsNotFound) {
  const auto client = MakeHttpClient();
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(
        client->Do({.url = "http://none.invalid/", .connect_timeout = absl::Seconds(1)}).ok());
  OneAnswer server(Answer("x"));
  EXPECT_EQ(client->Do({.url = server.url()})->body, "x");
}

TEST(HttpClient, HeadersOfTheAnswerAreFoundWithoutCase) {
  OneAnswer server(
      "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nETag:  \"a:b\" \r\nX-Two: "
      "1\r\n"
      "x-TWO: 2\r\nContent-Length: 0\r\n\r\n");
  const auto answer = MakeHttpClient()->Do({.url = server.url()});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->Header("etag"), "\"a:b\"");
  EXPECT_EQ(answer->Header("x-two"), "1");
  EXPECT_EQ(answer->Header("x-early"), "");
  OneAnswer endless("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
  EXPECT_FALSE(MakeHttpClient()->Do({.url = endless.url()}).ok());
}

TEST(HttpClient, HeadHasNoBodyAndNothingIsResolvedInAPath) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  const auto answer = MakeHttpClient()->Do({.method = "HEAD", .url = server.url() + "/../a%2Fb//"});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->Header("content-length"), "1000");
  EXPECT_THAT(server.request(), StartsWith("HEAD /path/../a%2Fb// HTTP/1.1\r\n"));
}

TEST(HttpClient, ABorrowedBodyIsSentAsItIs) {
  const std::string body = "\0binary\xff" + std::string(100'000, 'b');
  OneAnswer server(Answer("")), empty(Answer(""));
  const auto client = MakeHttpClient();
  ASSERT_TRUE(client->Do({.method = "PUT", .url = server.url(), .body_view = body}).ok());
  EXPECT_TRUE(server.request().ends_with("\r\n\r\n" + body));
  ASSERT_TRUE(client->Do({.method = "PUT", .url = empty.url()}).ok());
  EXPECT_THAT(empty.request(), HasSubstr("Content-Length: 0\r\n"));
}

TEST(HttpClient, AStopEndsATransferThatHangs) {
  OneAnswer stalled("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", /*hold=*/true);
  std::stop_source stop;
  const auto answer =
      MakeHttpClient()->Do({.url = stalled.url(), .stop = stop.get_token(), .on_body = [&](auto) {
                              stop.request_stop();
                              return OkStatus();
                            }});
  EXPECT_TRUE(absl::IsCancelled(answer.status())) << answer.status();
}

TEST(HttpClient, AProxyThatIsAskedForIsUsedAndNoneIsNone) {
  OneAnswer proxy(Answer("by proxy"));
  std::string proxy_url = proxy.url();
  proxy_url.resize(proxy_url.size() - std::strlen("/path"));
  EXPECT_EQ(MakeHttpClient()->Do({.url = "http://127.0.0.1:1/x", .proxy = proxy_url})->body,
            "by proxy");
  EXPECT_THAT(proxy.request(), StartsWith("GET http://127.0.0.1:1/x HTTP/1.1\r\n"));
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  const auto answer = MakeHttpClient()->Do(
      {.url = "http://192.0.2.1/", .proxy = "", .connect_timeout = absl::Milliseconds(50)});
  ::unsetenv("http_proxy");
  EXPECT_THAT(MessageOf(answer.status()), Not(HasSubstr("127.0.0.1")));
}

TEST(HttpClient, AProxyOfTheEnvironmentIsNotForThisHost) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  OneAnswer server(Answer("direct"));
  const auto answer = MakeHttpClient()->Do({.url = server.url()});
  EXPECT_TRUE(absl::IsUnavailable(
      MakeHttpClient()->Do({.url = "http://192.0.2.1/"}).status()));  // by the proxy, at once
  ::unsetenv("http_proxy");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "direct");
}

TEST(HttpClient, OnlyTheCaThatIsGivenIsTrusted) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  const auto make_ca = [&] {
    return MakeCa({.common_name = "ca", .now = now, .validity = absl::Hours(24 * 36500)}).value();
  };
  const KeyPair ca = make_ca(), other = make_ca();
  const auto serve = [&](const std::string& san) {
    const KeyPair leaf = MakeLeaf(ca, {.common_name = "x",
                                       .sans = {san},
                                       .server_auth = true,
                                       .now = now,
                                       .validity = absl::Hours(24 * 36000)})
                             .value();
    return HttpServer::Start(
               {.address = "127.0.0.1",
                .certificate_pem = leaf.certificate_pem,
                .key_pem = leaf.key_pem,
                .authenticate = [](const std::string&, const Secret&) { return std::nullopt; },
                .routes = {{"GET", "/", Route::Access::kAnyone,
                            [](const ApiRequest&, LineStream&) {
                              return ApiResponse{.body = "tls"};
                            }}}})
        .value();
  };
  const auto server = serve("127.0.0.1"), misnamed = serve("10.9.8.7");
  const auto url = [](const HttpServer& s) {
    return fmt::format("https://127.0.0.1:{}/", s.port());
  };
  const auto client = MakeHttpClient();
  const auto good = client->Do({.url = url(*server), .ca_pem = ca.certificate_pem});
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->body, "tls");
  EXPECT_TRUE(absl::IsUnauthenticated(
      client->Do({.url = url(*server), .ca_pem = other.certificate_pem}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(
      client->Do({.url = url(*server)}).status()));  // the system's CAs do not know it
  EXPECT_TRUE(absl::IsUnauthenticated(
      client->Do({.url = url(*misnamed), .ca_pem = ca.certificate_pem}).status()));
  EXPECT_EQ(client->Do({.url = url(*misnamed), .skip_verify = true})->body, "tls");
  // TLS towards one that speaks none.
  OneAnswer plain(Answer(""));
  std::string secure = plain.url();
  secure.replace(0, 4, "https");
  EXPECT_FALSE(
      client->Do({.url = secure, .skip_verify = true, .connect_timeout = absl::Milliseconds(100)})
          .ok());
}

}  // namespace
}  // namespace holdfast
