// Over real sockets, with limits that are short enough to be run into.
#include "api/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <thread>

#include "keys/base64.h"
#include "keys/pki.h"
#include "os/fd.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const KeyPair& Certificate() {
  static const KeyPair pair = [] {
    const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
    const KeyPair ca =
        MakeCa({.common_name = "ca", .now = now, .validity = absl::Hours(24 * 36500)}).value();
    return MakeLeaf(ca,
                    {.common_name = "x", .sans = {"127.0.0.1"}, .server_auth = true, .now = now})
        .value();
  }();
  return pair;
}

// A peer: a TCP connection, with TLS unless it is a rude one.
class Peer {
 public:
  explicit Peer(int port, bool tls = true) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    timeval limit{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (!tls) return;
    context_.reset(SSL_CTX_new(TLS_client_method()));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    shaken_ = SSL_connect(ssl_.get()) == 1;
  }
  bool shaken() const { return shaken_; }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const int n = SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Until the server closes, or `end` has come.
  std::string Read(std::string_view end = "") {
    char piece[4096];
    while (end.empty() || !read_.ends_with(end)) {
      const int n = SSL_read(ssl_.get(), piece, sizeof piece);
      if (n <= 0) break;
      read_.append(piece, static_cast<std::size_t>(n));
    }
    return std::exchange(read_, "");
  }
  // True if the server has closed the connection; waits for it.
  bool Closed() {
    char piece[4096];
    ssize_t n;
    while ((n = ::recv(fd_.get(), piece, sizeof piece, 0)) > 0) {
    }
    return n == 0 || errno == ECONNRESET;
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  Fd fd_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  bool shaken_ = false;
  std::string read_;
};

std::string Basic(const std::string& user, const std::string& password) {
  return "Authorization: Basic " + Base64Encode(BytesOf(user + ":" + password)) + "\r\n";
}

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does
    options_.address = "127.0.0.1";
    options_.certificate_pem = Certificate().certificate_pem;
    options_.key_pem = Certificate().key_pem;
    options_.authenticate = [](const std::string& user,
                               const Secret& password) -> std::optional<std::string> {
      if (password.reveal() != "pw:of " + user) return std::nullopt;
      return "x:" + user;
    };
    Add("GET", "/open", Route::Access::kAnyone);
    Add("GET", "/agents", Route::Access::kAgent);
    Add("POST", "/servers", Route::Access::kServer);
  }
  ~HttpServerTest() override { Release(); }

  void Add(const char* method, const char* path, Route::Access access) {
    options_.routes.push_back({method, path, access, [](const ApiRequest& request, LineStream&) {
                                 return ApiResponse{.body = request.method + " " + request.path +
                                                            " " + request.body};
                               }});
  }
  // A route whose handler waits for Release().
  void AddSlow(std::vector<std::string> lines = {}) {
    options_.routes.push_back({"GET", "/slow", Route::Access::kAnyone,
                               [this, lines](const ApiRequest&, LineStream& stream) {
                                 ++running_;
                                 for (const std::string& line : lines) stream.Send(line);
                                 released_.wait();
                                 ++ended_;
                                 return ApiResponse{.body = "slow\n"};
                               }});
  }
  void Release() {
    if (!std::exchange(is_released_, true)) released_.count_down();
  }
  void Start() {
    auto server = HttpServer::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  Peer Connect(bool tls = true) { return Peer(server_->port(), tls); }
  std::string Ask(const std::string& request) {
    Peer peer = Connect();
    peer.Send(request);
    return peer.Read();
  }
  static std::string Get(const std::string& path, const std::string& headers = "") {
    return "GET " + path + " HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n";
  }
  static void WaitFor(const std::atomic<int>& number, int value) {
    while (number < value) std::this_thread::yield();
  }

  HttpServerOptions options_;
  std::latch released_{1};
  bool is_released_ = false;
  std::atomic<int> running_ = 0, ended_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersByRoute) {
  Start();
  EXPECT_THAT(Ask(Get("/open?a=b")), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask(Get("/open?a=b")), ::testing::EndsWith("\r\n\r\nGET /open "));
  EXPECT_THAT(Ask(Get("/nothing")), StartsWith("HTTP/1.1 404 "));
  const std::string wrong =
      Ask("POST /open HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET\r\n"));
}

TEST_F(HttpServerTest, RolesOpenWhatIsTheirs) {
  Start();
  const auto code = [&](const std::string& request) { return Ask(request).substr(9, 3); };
  const auto post = [](const std::string& headers) {
    return "POST /servers HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n" + headers +
           "\r\nhi";
  };
  const std::string agent = Basic("agent", "pw:of agent"), server = Basic("server", "pw:of server");
  EXPECT_EQ(code(Get("/agents")), "401");
  EXPECT_THAT(Ask(Get("/agents")), HasSubstr("WWW-Authenticate: Basic realm="));
  EXPECT_EQ(code(Get("/agents", agent)), "200");
  EXPECT_EQ(code(Get("/agents", server)), "200");
  EXPECT_EQ(code(post("")), "401");
  EXPECT_EQ(code(post(agent)), "403");
  EXPECT_EQ(code(post(server)), "200");
  EXPECT_EQ(code(post(Basic("server", "pw"))), "401");
  EXPECT_EQ(
      code(post("authorization: bAsIc " + Base64Encode(BytesOf("server:pw:of server")) + "\r\n")),
      "200");
  for (const char* bad : {"Basic", "Basic ", "Basic !!", "Basic c2VydmVy", "Bearer x", ""}) {
    EXPECT_EQ(code(post(std::string("Authorization: ") + bad + "\r\n")), "401") << bad;
  }
}

TEST_F(HttpServerTest, OneConnectionServesManyRequests) {
  Start();
  Peer peer = Connect();
  for (int i = 0; i < 3; ++i) {
    peer.Send("GET /open HTTP/1.1\r\n\r\n");
    EXPECT_THAT(peer.Read("GET /open "), StartsWith("HTTP/1.1 200 "));
  }
  peer.Send("GET /open HTTP/1.1\r\n\r\nGET /open HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string both = peer.Read();
  EXPECT_THAT(both, HasSubstr("GET /open HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, WhatIsTooLargeIsRefusedAndTheAnswerArrives) {
  options_.limits.header_bytes_max = 1000;
  options_.limits.body_bytes_max = 1000;
  Start();
  const std::string server = Basic("server", "pw:of server");
  EXPECT_THAT(Ask("POST /servers HTTP/1.1\r\nConnection: close\r\n" + server +
                  "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x')),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask("POST /servers HTTP/1.1\r\n" + server + "Content-Length: 3000000\r\n\r\n" +
                  std::string(3'000'000, 'x')),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("POST /servers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                  std::string(2000, 'x') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask(Get("/open", "X: " + std::string(2000, 'x') + "\r\n")),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, APeerThatKeepsItWaitingIsDropped) {
  options_.limits.handshake_timeout = absl::Milliseconds(50);
  options_.limits.request_timeout = absl::Milliseconds(50);
  options_.limits.idle_timeout = absl::Milliseconds(50);
  options_.limits.linger_timeout = absl::Milliseconds(50);
  Start();
  Peer silent = Connect(/*tls=*/false);
  EXPECT_TRUE(silent.Closed());
  Peer half = Connect();
  half.Send("GET /open HTT");
  EXPECT_TRUE(half.Closed());
  Peer idle = Connect();
  idle.Send("GET /open HTTP/1.1\r\n\r\n");
  EXPECT_THAT(idle.Read("GET /open "), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(idle.Closed());
  Peer done = Connect();
  done.Send(Get("/open"));
  EXPECT_THAT(done.Read(), StartsWith("HTTP/1.1 200 "));  // the server ends; this peer does not
}

TEST_F(HttpServerTest, WhenThereAreTooManyTheOneThatWaitsLongestMakesRoom) {
  options_.limits.connections_max = 3;
  AddSlow();
  Start();
  Peer served = Connect();
  served.Send(Get("/slow"));
  WaitFor(running_, 1);
  // A request each, so that it is certain who has waited longer since.
  Peer first = Connect();
  first.Send("GET /open HTTP/1.1\r\n\r\n");
  first.Read("GET /open ");
  Peer second = Connect();
  second.Send("GET /open HTTP/1.1\r\n\r\n");
  second.Read("GET /open ");
  Peer third = Connect();
  EXPECT_TRUE(third.shaken());
  EXPECT_TRUE(first.Closed());
  second.Send(Get("/open"));
  EXPECT_THAT(second.Read(), StartsWith("HTTP/1.1 200 "));
  third.Send(Get("/open"));
  EXPECT_THAT(third.Read(), StartsWith("HTTP/1.1 200 "));
  Release();
  EXPECT_THAT(served.Read(), ::testing::EndsWith("slow\n"));
}

TEST_F(HttpServerTest, WhenAllAreBeingServedANewOneIsRefused) {
  options_.limits.connections_max = 1;
  AddSlow();
  Start();
  Peer served = Connect();
  served.Send(Get("/slow"));
  WaitFor(running_, 1);
  EXPECT_FALSE(Connect().shaken());
  Release();
  EXPECT_THAT(served.Read(), ::testing::EndsWith("slow\n"));
}

TEST_F(HttpServerTest, MoreRequestsThanItMayQueueAreRefused) {
  options_.limits.waiting_max = 2;
  AddSlow();
  Start();
  Peer a = Connect(), b = Connect();
  a.Send(Get("/slow"));
  b.Send(Get("/slow"));
  WaitFor(running_, 2);
  EXPECT_THAT(Ask(Get("/open")), StartsWith("HTTP/1.1 503 "));
  Release();
  EXPECT_THAT(a.Read(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(b.Read(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask(Get("/open")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, WhatAnswersAtOnceWaitsForNoWorker) {
  AddSlow();
  Add("GET", "/at-once", Route::Access::kAgent);
  options_.routes.back().at_once = true;
  Start();
  std::vector<Peer> slow;
  for (int i = 0; i < options_.limits.waiting_max; ++i) {
    slow.push_back(Connect());
    slow.back().Send(Get("/slow"));
  }
  WaitFor(running_, 4);  // all workers
  EXPECT_THAT(Ask(Get("/at-once", Basic("agent", "pw:of agent"))), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask(Get("/at-once")), StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(ended_, 0);
}

TEST_F(HttpServerTest, LinesMakeTheAnswerAStream) {
  AddSlow({"one\n"});
  Start();
  Peer peer = Connect();
  peer.Send("GET /slow HTTP/1.1\r\n\r\n");
  const std::string begin = peer.Read("4\r\none\n\r\n");
  EXPECT_THAT(begin, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(begin, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(begin, HasSubstr("application/x-ndjson"));
  Release();
  EXPECT_EQ(peer.Read("0\r\n\r\n"), "5\r\nslow\n\r\n0\r\n\r\n");
  // The connection is as good as before.
  peer.Send("GET /open HTTP/1.1\r\n\r\n");
  EXPECT_THAT(peer.Read("GET /open "), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, Http10GetsOneAnswerInOnePiece) {
  AddSlow({"one\n"});
  Release();
  Start();
  const std::string answer = Ask("GET /slow HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\nslow\n"));
}

TEST_F(HttpServerTest, APeerThatReadsNothingGetsTheNewestLinesOnlyAndIsDropped) {
  options_.limits.write_timeout = absl::Milliseconds(100);
  std::vector<std::string> lines;
  for (int i = 0; i < 200; ++i)
    lines.push_back(std::string(100'000, 'x') + "\n");  // more than the kernel's buffers hold
  AddSlow(lines);
  Start();
  Peer peer = Connect();
  peer.Send("GET /slow HTTP/1.1\r\n\r\n");
  WaitFor(running_, 1);
  Release();
  WaitFor(ended_, 1);
  EXPECT_THAT(Ask(Get("/open")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, APeerThatGoesAwayDoesNotEndTheHandler) {
  AddSlow({"one\n"});
  Start();
  {
    Peer peer = Connect();
    peer.Send("GET /slow HTTP/1.1\r\n\r\n");
    WaitFor(running_, 1);
  }
  EXPECT_EQ(ended_, 0);
  Release();
  WaitFor(ended_, 1);
  EXPECT_THAT(Ask(Get("/open")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, EndsWithConnectionsOpenAndWaitsForItsHandlers) {
  AddSlow({"one\n"});
  Start();
  Peer idle = Connect(), rude = Connect(/*tls=*/false), half = Connect(), streaming = Connect();
  half.Send("GET /open HTTP/1.1\r\n");
  streaming.Send("GET /slow HTTP/1.1\r\n\r\n");
  streaming.Read("one\n\r\n");
  std::jthread release([this, &idle] {
    // The destructor below has begun, and waits for the handler.
    EXPECT_TRUE(idle.Closed());
    EXPECT_EQ(ended_, 0);
    Release();
  });
  server_.reset();
  EXPECT_EQ(ended_, 1);
  release.join();
  for (Peer* peer : {&rude, &half, &streaming}) EXPECT_TRUE(peer->Closed());
}

TEST_F(HttpServerTest, StartsAndEndsWithoutAnybody) {
  for (int i = 0; i < 20; ++i) {
    Start();
    server_.reset();
  }
}

TEST_F(HttpServerTest, WhatItCannotStartWithIsSaid) {
  Start();
  options_.port = server_->port();
  const auto taken = HttpServer::Start(options_);
  EXPECT_EQ(taken.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(taken.status()),
              HasSubstr(fmt::format("port {} of 127.0.0.1 is in use by api_test (pid {})",
                                    options_.port, ::getpid())));
  options_.port = 0;
  options_.address = "localhost";
  EXPECT_EQ(MessageOf(HttpServer::Start(options_).status()), "\"localhost\" is not an IP address");
  options_.address = "127.0.0.1";
  options_.certificate_pem = "nonsense";
  EXPECT_THAT(MessageOf(HttpServer::Start(options_).status()),
              StartsWith("the supervisor's certificate cannot be used: "));
}

}  // namespace
}  // namespace holdfast
