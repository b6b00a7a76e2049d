// Over real sockets on loopback: the test is the client and the backends, the balancer runs on its own thread between them.
#include "agent/balancer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "os/fd.h"

namespace holdfast {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kPatienceMs = 30'000;

sockaddr_in Loopback(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

// One end of a connection. All calls block, at most kPatienceMs.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {
    timeval limit{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  static Peer ConnectTo(int port) {
    Peer peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = Loopback(port);
    EXPECT_EQ(::connect(peer.fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return peer;
  }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // As much as is taken without waiting; how much that was.
  std::size_t SendNow(std::string_view text) {
    const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  // True if it can be written to again within `ms`.
  bool TakesMore(int ms) {
    pollfd p{fd_.get(), POLLOUT, 0};
    return ::poll(&p, 1, ms) == 1;
  }
  // `size` bytes, or what came before the end.
  std::string Read(std::size_t size) {
    std::string out(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const ssize_t n = ::recv(fd_.get(), out.data() + have, size - have, 0);
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    out.resize(have);
    return out;
  }
  // How the stream ends: 0 in order, else an errno. Reads away what comes before.
  int End() {
    char piece[4096];
    ssize_t n;
    while ((n = ::recv(fd_.get(), piece, sizeof piece, 0)) > 0) {
    }
    return n == 0 ? 0 : errno;
  }
  void EndSending() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_.Reset();
  }

 private:
  Fd fd_;
};

// A server. Its port is its own as long as it lives, also while nobody listens there.
class TestBackend {
 public:
  TestBackend() { Open(0); }

  std::string name() const { return fmt::format("127.0.0.1:{}", port_); }
  int port() const { return port_; }

  TestBackend& Listen(int backlog = 1000) {
    EXPECT_EQ(::listen(fd_.get(), backlog), 0);
    return *this;
  }
  // From now on connections are refused.
  void StopListening() {
    fd_.Reset();
    Open(port_);
  }
  Peer Accept() {
    std::optional<Peer> peer = TryAccept(kPatienceMs);
    if (peer) return std::move(*peer);
    ADD_FAILURE() << "nobody connected to " << name();
    return Peer(-1);
  }
  std::optional<Peer> TryAccept(int ms) {
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, ms) != 1) return std::nullopt;
    return Peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  void Open(int port) {
    fd_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in at = Loopback(port);
    ASSERT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    socklen_t size = sizeof at;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }

  Fd fd_;
  int port_ = 0;
};

class BalancerTest : public ::testing::Test {
 protected:
  BalancerTest() {
    options_.port = 0;
    // What a test does not want to see does not happen while it runs.
    options_.connect_timeout = absl::Minutes(1);
    options_.retry_interval = absl::Minutes(1);
  }
  void Start() {
    auto balancer = Balancer::Start(options_);
    ASSERT_TRUE(balancer.ok()) << balancer.status();
    balancer_ = *std::move(balancer);
  }
  void Use(const std::vector<std::string>& backends,
           const std::vector<std::string>& doubtful = {}) {
    const Status set = balancer_->SetBackends(backends, doubtful);
    ASSERT_TRUE(set.ok()) << set;
  }
  Peer Connect() { return Peer::ConnectTo(balancer_->port()); }
  static void ExpectTalk(Peer& a, Peer& b) {
    a.Send("ping");
    EXPECT_EQ(b.Read(4), "ping");
    b.Send("pong!");
    EXPECT_EQ(a.Read(5), "pong!");
  }

  BalancerOptions options_;
  TestBackend a_, b_;
  std::unique_ptr<Balancer> balancer_;
};

TEST_F(BalancerTest, BytesGoBothWaysUntilBothHaveEnded) {
  Start();
  Use({a_.Listen().name()});
  Peer client = Connect(), server = a_.Accept();
  ExpectTalk(client, server);
  ExpectTalk(server, client);
  client.Close();
  EXPECT_EQ(server.End(), 0);
}

TEST_F(BalancerTest, TheServerMaySpeakFirst) {
  Start();
  Use({a_.Listen().name()});
  Peer client = Connect(), server = a_.Accept();
  server.Send("hello");
  EXPECT_EQ(client.Read(5), "hello");
}

TEST_F(BalancerTest, OneDirectionEndsAndTheOtherGoesOn) {
  Start();
  Use({a_.Listen().name()});
  Peer client = Connect(), server = a_.Accept();
  client.Send("question");
  client.EndSending();
  EXPECT_EQ(server.Read(100), "question");  // to its end
  const std::string answer(3'000'000, 'x');
  std::thread sender([&] {
    server.Send(answer);
    server.Close();
  });
  EXPECT_EQ(client.Read(answer.size() + 1).size(), answer.size());
  EXPECT_EQ(client.End(), 0);
  sender.join();
}

TEST_F(BalancerTest, NewConnectionsGoWhereTheFewestAre) {
  Start();
  Use({a_.Listen().name(), b_.Listen().name()});
  std::vector<Peer> clients, at_a, at_b;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(Connect());
    at_a.push_back(a_.Accept());
    clients.push_back(Connect());
    at_b.push_back(b_.Accept());
    ExpectTalk(clients.back(), at_b.back());
  }
  // b loses all of its own: the next ones are for b.
  for (Peer& peer : at_b) peer.Reset();
  for (std::size_t i = 1; i < clients.size(); i += 2) EXPECT_EQ(clients[i].End(), ECONNRESET);
  for (int i = 0; i < 3; ++i) {
    clients.push_back(Connect());
    at_b.push_back(b_.Accept());
  }
  EXPECT_FALSE(a_.TryAccept(0));
}

TEST_F(BalancerTest, ABackendThatDiesInMidStreamResetsItsClientsAndOthersTakeOver) {
  Start();
  Use({a_.Listen().name(), b_.Listen().name()});
  Peer client = Connect(), server = a_.Accept();
  server.Send("half of a");
  EXPECT_EQ(client.Read(9), "half of a");
  a_.StopListening();
  server.Reset();
  EXPECT_EQ(client.End(), ECONNRESET);
  for (int i = 0; i < 3; ++i) {
    Peer again = Connect(), other = b_.Accept();
    ExpectTalk(again, other);
  }
}

TEST_F(BalancerTest, AClientThatDiesResetsItsBackend) {
  Start();
  Use({a_.Listen().name()});
  Peer client = Connect(), server = a_.Accept();
  ExpectTalk(client, server);
  client.Reset();
  EXPECT_EQ(server.End(), ECONNRESET);
}

TEST_F(BalancerTest, WhileAllAreDownClientsAreResetAndTheFirstThatReturnsServes) {
  Start();
  EXPECT_EQ(Connect().End(), ECONNRESET);  // there is no backend yet
  Use({a_.name(), b_.name()});             // nobody listens there
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Connect().End(), ECONNRESET);
  b_.Listen();
  Peer client = Connect(), server = b_.Accept();
  ExpectTalk(client, server);
}

TEST_F(BalancerTest, AFailedBackendIsTriedUntilItTakesConnectionsAndThenNoMore) {
  options_.retry_interval = absl::Milliseconds(5);
  Start();
  Use({a_.name(), b_.Listen().name()});
  Peer first = Connect(), at_b = b_.Accept();  // a was tried first
  a_.Listen();
  EXPECT_EQ(a_.Accept().End(), 0);              // the probe: opened and closed
  EXPECT_FALSE(a_.TryAccept(100));              // it has recovered and is left alone
  Peer second = Connect(), at_a = a_.Accept();  // it has the fewest connections
  ExpectTalk(second, at_a);
  ExpectTalk(first, at_b);
}

TEST_F(BalancerTest, ABackendThatDoesNotAnswerIsPassedOverInTime) {
  options_.connect_timeout = absl::Milliseconds(100);
  Start();
  // Its queue of connections is full: the kernel drops what comes.
  a_.Listen(/*backlog=*/0);
  Peer filler = Peer::ConnectTo(a_.port());
  Use({a_.name(), b_.Listen().name()});
  for (int i = 0; i < 3; ++i) {
    Peer client = Connect(), server = b_.Accept();
    ExpectTalk(client, server);
  }
}

TEST_F(BalancerTest, ARemovedBackendLosesItsConnectionsAndTheOthersKeepTheirs) {
  Start();
  Use({a_.Listen().name(), b_.Listen().name()});
  Peer at_a = Connect(), a = a_.Accept(), at_b = Connect(), b = b_.Accept();
  Use({b_.name(), b_.name()});
  EXPECT_EQ(at_a.End(), ECONNRESET);
  EXPECT_EQ(a.End(), ECONNRESET);
  ExpectTalk(at_b, b);
  Peer more = Connect(), at_b_too = b_.Accept();
  ExpectTalk(more, at_b_too);
  Use({});
  EXPECT_EQ(at_b.End(), ECONNRESET);
  EXPECT_EQ(more.End(), ECONNRESET);
  EXPECT_EQ(Connect().End(), ECONNRESET);
  Use({a_.name()});
  Peer again = Connect(), at_a_again = a_.Accept();
  ExpectTalk(again, at_a_again);
}

TEST_F(BalancerTest, ADoubtfulBackendKeepsItsConnectionsAndGetsNewOnesOnlyIfNoOtherTakesThem) {
  Start();
  const std::string a = a_.Listen().name(), b = b_.Listen().name();
  Use({a});
  Peer first = Connect(), at_a = a_.Accept();
  ExpectTalk(first, at_a);
  Use({a, b}, {a});
  std::vector<Peer> others, at_b;
  for (int i = 0; i < 3; ++i) {  // although it has fewer connections
    others.push_back(Connect());
    at_b.push_back(b_.Accept());
    ExpectTalk(others.back(), at_b.back());
  }
  ExpectTalk(first, at_a);
  Use({a}, {a});
  Peer last = Connect(), again_at_a = a_.Accept();
  ExpectTalk(last, again_at_a);
  Use({a, b});  // trusted again
  Peer trusted = Connect(), at_b_again = b_.Accept();
  ExpectTalk(trusted, at_b_again);
  ExpectTalk(first, at_a);
}

TEST_F(BalancerTest, APeerThatReadsNothingStopsItsOwnStreamOnly) {
  Start();
  Use({a_.Listen().name()});
  Peer lazy = Connect(), source = a_.Accept(), busy = Connect(), server = a_.Accept();
  const std::string piece(1 << 20, 'x');
  std::size_t sent = 0;
  while (source.TakesMore(200)) {
    sent += source.SendNow(piece);
    ASSERT_LT(sent, 200u << 20) << "somebody keeps what nobody reads";
  }
  for (int i = 0; i < 100; ++i) ExpectTalk(busy, server);
  std::thread rest([&] {
    source.Send(piece);
    source.EndSending();
  });
  EXPECT_EQ(lazy.Read(sent + piece.size() + 1).size(), sent + piece.size());
  rest.join();
}

TEST_F(BalancerTest, ManyConnectionsAtOnce) {
  Start();
  Use({a_.Listen().name()});
  std::vector<Peer> clients, servers;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(Connect());
    servers.push_back(a_.Accept());
  }
  for (std::size_t i = 0; i < clients.size(); ++i) clients[i].Send(fmt::format("{:04}", i));
  for (std::size_t i = 0; i < servers.size(); ++i)
    EXPECT_EQ(servers[i].Read(4), fmt::format("{:04}", i));
  for (std::size_t i = 0; i < servers.size(); ++i) ExpectTalk(servers[i], clients[i]);
}

TEST_F(BalancerTest, MoreThanItMayHaveAreRefusedAndThoseItHasGoOn) {
  options_.connections_max = 2;
  Start();
  Use({a_.Listen().name()});
  Peer first = Connect(), a = a_.Accept(), second = Connect(), b = a_.Accept();
  EXPECT_EQ(Connect().End(), ECONNRESET);
  ExpectTalk(first, a);
  first.Reset();
  EXPECT_EQ(a.End(), ECONNRESET);
  Peer third = Connect(), c = a_.Accept();
  ExpectTalk(third, c);
  ExpectTalk(second, b);
}

TEST_F(BalancerTest, EndsWithConnectionsOpen) {
  Start();
  Use({a_.Listen().name(), b_.Listen(/*backlog=*/0).name()});
  Peer filler = Peer::ConnectTo(b_.port());
  Peer client = Connect(), server = a_.Accept();
  ExpectTalk(client, server);
  Peer waiting = Connect();  // for b, which does not answer
  balancer_.reset();
  EXPECT_EQ(client.End(), ECONNRESET);
  EXPECT_EQ(server.End(), ECONNRESET);
  EXPECT_THAT(waiting.End(), AnyOf(0, ECONNRESET));  // it has had nothing yet
  for (int i = 0; i < 20; ++i) {
    Start();
    Use({a_.name()});
    balancer_.reset();
  }
}

TEST_F(BalancerTest, WhatItCannotUseIsSaidAndChangesNothing) {
  Start();
  Use({a_.Listen().name()});
  for (const std::string bad :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "localhost:2379",
        "::1:2379", "[127.0.0.1]:2379", "[]:1", "https://127.0.0.1:2379"}) {
    const Status set = balancer_->SetBackends({b_.name(), bad}, {});
    EXPECT_EQ(set.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(MessageOf(set), HasSubstr("\"" + bad + "\" is not an IP address and a port"));
  }
  const std::string itself = fmt::format("127.0.0.1:{}", balancer_->port());
  EXPECT_THAT(MessageOf(balancer_->SetBackends({itself}, {})),
              HasSubstr("is the load balancer itself"));
  EXPECT_FALSE(balancer_->SetBackends(std::vector<std::string>(65, a_.name()), {}).ok());
  EXPECT_TRUE(balancer_->SetBackends({a_.name(), "[2001:db8::1]:2379"}, {}).ok());
  Peer client = Connect(), server = a_.Accept();
  ExpectTalk(client, server);
}

TEST_F(BalancerTest, WhereItCannotListenIsSaid) {
  Start();
  options_.port = balancer_->port();
  const Status taken = Balancer::Start(options_).status();
  EXPECT_EQ(taken.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(taken), StartsWith(fmt::format("load balancer: port {} of 127.0.0.1 is in "
                                                       "use by agent_test (pid {})",
                                                       options_.port, ::getpid())));
  options_.address = "localhost";
  EXPECT_EQ(MessageOf(Balancer::Start(options_).status()), "\"localhost\" is not an IP address");
}

}  // namespace
}  // namespace holdfast
