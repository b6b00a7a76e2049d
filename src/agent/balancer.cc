// On Boost.Asio (docs/decisions/2026-11-23-balancer-on-asio.md): it tells when a socket is ready; bytes move by non-blocking
// reads and writes through one buffer of the thread, so that an idle connection costs nothing but its sockets.
#include "agent/balancer.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "os/host.h"

namespace holdfast {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// One read, and the most that waits in one direction of a connection.
constexpr std::size_t kBufferBytes = 256 * kKiB;
// Reads in a row before other connections have their turn.
constexpr int kTurnReadsMax = 8;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr int kKeepAliveSeconds = 2;

StatusOr<tcp::endpoint> ParseEndpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  const Status bad = InvalidArgumentError("\"{}\" is not an IP address and a port", text);
  if (colon == std::string::npos || colon == 0) return bad;
  std::string host = text.substr(0, colon);
  const bool brackets = host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  const auto port = ParseUint(std::string_view(text).substr(colon + 1));
  if (error || address.is_v6() != brackets || !port || *port == 0 || *port > 65535) return bad;
  return tcp::endpoint(address, static_cast<std::uint16_t>(*port));
}

std::string TextOf(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

// Small messages go out at once, and a peer that is gone is noticed, if it is a backend also while it owes us
// acknowledgements. (A client may take as long as it likes: TCP_USER_TIMEOUT would also end one that reads slowly.)
// Cannot fail on a TCP socket of ours.
void SetUp(tcp::socket& socket, absl::Duration dead_after, bool is_backend) {
  const auto set = [fd = socket.native_handle()](int level, int option, int value) {
    (void)::setsockopt(fd, level, option, &value, sizeof value);
  };
  const int seconds = static_cast<int>(absl::ToInt64Seconds(dead_after));
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, seconds / 2));
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, std::max(1, (seconds - seconds / 2) / kKeepAliveSeconds));
  if (is_backend) set(IPPROTO_TCP, TCP_USER_TIMEOUT, seconds * 1000);
}

// Opens a connection within `limit`. Calls `done` once from the I/O thread, with the socket or the reason.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  using Done = std::function<void(error_code, tcp::socket)>;
  Dial(asio::io_context& io, Done done) : socket_(io), timer_(io), done_(std::move(done)) {}

  void Start(const tcp::endpoint& to, absl::Duration limit) {
    timer_.expires_after(absl::ToChronoNanoseconds(limit));
    timer_.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped) self->End(asio::error::timed_out);
    });
    socket_.async_connect(to, [self = shared_from_this()](error_code error) { self->End(error); });
  }

 private:
  void End(error_code error) {
    if (!done_) return;
    timer_.cancel();
    const Done done = std::exchange(done_, nullptr);
    if (error) {
      error_code ignored;
      socket_.close(ignored);
    }
    done(error, std::move(socket_));
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Done done_;
};

// One server. Owned by the balancer as long as it is in the set, and by connections and probes that were begun then.
class Backend : public std::enable_shared_from_this<Backend> {
 public:
  Backend(asio::io_context& io, const BalancerOptions& options, tcp::endpoint endpoint)
      : io_(io), options_(options), endpoint_(std::move(endpoint)), timer_(io) {}

  const tcp::endpoint& endpoint() const { return endpoint_; }
  bool failed() const { return failed_; }

  void Fail(error_code why) {
    if (std::exchange(failed_, true) || removed) return;
    LogWarn("Load balancer: {} takes no connections: {}", TextOf(endpoint_), why.message());
    ProbeLater();
  }
  void Recover() {
    if (std::exchange(failed_, false) && !removed)
      LogInfo("Load balancer: {} takes connections again", TextOf(endpoint_));
  }

  std::size_t connections = 0;
  std::uint64_t last_used = 0;  // a count of choices, not a time
  bool removed = false, doubtful = false;

 private:
  void ProbeLater() {
    timer_.expires_after(absl::ToChronoNanoseconds(options_.retry_interval));
    timer_.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped) self->Probe();
    });
  }
  void Probe() {
    if (removed || !failed_) return;
    auto dial = std::make_shared<Dial>(
        io_, [self = shared_from_this()](error_code error, const tcp::socket&) {
          if (error) return self->ProbeLater();
          self->Recover();
        });
    dial->Start(endpoint_, options_.connect_timeout);
  }

  asio::io_context& io_;
  const BalancerOptions& options_;
  const tcp::endpoint endpoint_;
  asio::steady_timer timer_;
  bool failed_ = false;
};

class Connection;

// All members belong to the I/O thread, except those that are constant after Listen().
class TcpBalancer final : public Balancer {
 public:
  explicit TcpBalancer(BalancerOptions options)
      : options_(std::move(options)), acceptor_(io_), accept_timer_(io_), buffer_(kBufferBytes) {}

  ~TcpBalancer() override {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { Shutdown(); });
    thread_.join();
  }

  Status Listen();

  int port() const override { return local_.port(); }
  Status SetBackends(const std::vector<std::string>& backends,
                     const std::vector<std::string>& doubtful) override;

  const BalancerOptions& options() const { return options_; }
  asio::io_context& io() { return io_; }
  // What one read brought and is not yet written; good until the caller returns.
  std::vector<char>& buffer() { return buffer_; }

  // The best backend that is not among `tried`; null if there is none.
  std::shared_ptr<Backend> Choose(const std::vector<std::shared_ptr<Backend>>& tried);
  void Remove(const std::shared_ptr<Connection>& connection) { connections_.erase(connection); }

 private:
  void Accept();
  void Take(tcp::socket client);
  struct Wanted {
    tcp::endpoint endpoint;
    bool doubtful;
  };
  void Replace(const std::vector<Wanted>& wanted);
  void Shutdown();

  const BalancerOptions options_;
  tcp::endpoint local_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  std::vector<char> buffer_;
  std::vector<std::shared_ptr<Backend>> backends_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::uint64_t choices_ = 0;
  bool full_ = false;
  std::jthread thread_;
};

// A client and, as soon as one took it, its backend. Kept by the balancer until Close(), and by what waits for its sockets.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(TcpBalancer& balancer, tcp::socket client)
      : balancer_(balancer), client_(std::move(client)), server_(balancer.io()) {}

  const Backend* backend() const { return backend_.get(); }

  // Tries one backend after the other.
  void Start() {
    Leave();
    backend_ = balancer_.Choose(tried_);
    if (!backend_) return Reset();
    ++backend_->connections;
    tried_.push_back(backend_);
    auto dial = std::make_shared<Dial>(
        balancer_.io(), [self = shared_from_this()](error_code error, tcp::socket socket) {
          self->Connected(error, std::move(socket));
        });
    dial->Start(backend_->endpoint(), balancer_.options().connect_timeout);
  }

  // Both peers get a reset: no stream that was cut looks whole.
  void Reset() {
    error_code ignored;
    for (tcp::socket* socket : {&client_, &server_})
      socket->set_option(asio::socket_base::linger(true, 0), ignored);
    Close();
  }

 private:
  // The bytes from one peer to the other.
  struct Direction {
    tcp::socket& from;
    tcp::socket& to;
    std::string rest;  // read and not yet taken by `to`, from rest_begin on
    std::size_t rest_begin = 0;
    bool ended = false;
  };

  void Close() {
    if (std::exchange(closed_, true)) return;
    error_code ignored;
    client_.close(ignored);
    server_.close(ignored);
    Leave();
    balancer_.Remove(shared_from_this());
  }

  void Leave() {
    if (backend_) --backend_->connections;
    backend_.reset();
  }

  void Connected(error_code error, tcp::socket socket) {
    if (closed_) return;
    // Not the backend's fault: out of descriptors.
    if (error == asio::error::no_descriptors) return Reset();
    if (error) {
      backend_->Fail(error);
      return Start();
    }
    backend_->Recover();
    tried_.clear();
    server_ = std::move(socket);
    SetUp(client_, balancer_.options().dead_after, /*is_backend=*/false);
    SetUp(server_, balancer_.options().dead_after, /*is_backend=*/true);
    server_.non_blocking(true, error);
    if (!error) client_.non_blocking(true, error);
    if (error) return Reset();
    Flow(up_);
    if (!closed_) Flow(down_);
  }

  // Moves what can be moved now, then waits for the side that holds it up.
  void Flow(Direction& d) {
    for (int reads = 0; reads < kTurnReadsMax; ++reads) {
      if (!d.rest.empty() && !WriteRest(d)) return;
      error_code error;
      std::vector<char>& buffer = balancer_.buffer();
      const std::size_t size = d.from.read_some(asio::buffer(buffer), error);
      if (error == asio::error::would_block) return Await(d, d.from, tcp::socket::wait_read);
      if (error == asio::error::eof) return EndOf(d);
      if (error) return Reset();
      const std::size_t written = d.to.write_some(asio::buffer(buffer.data(), size), error);
      if (error && error != asio::error::would_block) return Reset();
      if (written < size) d.rest.assign(buffer.data() + written, size - written);
    }
    asio::post(balancer_.io(), [self = shared_from_this(), &d] {
      if (!self->closed_) self->Flow(d);
    });
  }

  // True if the rest is gone; else it waits or the connection is closed.
  bool WriteRest(Direction& d) {
    error_code error;
    while (d.rest_begin < d.rest.size()) {
      d.rest_begin += d.to.write_some(
          asio::buffer(d.rest.data() + d.rest_begin, d.rest.size() - d.rest_begin), error);
      if (error == asio::error::would_block) {
        Await(d, d.to, tcp::socket::wait_write);
        return false;
      }
      if (error) {
        Reset();
        return false;
      }
    }
    d.rest = {};
    d.rest_begin = 0;
    return true;
  }

  void Await(Direction& d, tcp::socket& socket, tcp::socket::wait_type what) {
    socket.async_wait(what, [self = shared_from_this(), &d](error_code error) {
      if (self->closed_) return;
      if (error) return self->Reset();
      self->Flow(d);
    });
  }

  void EndOf(Direction& d) {
    d.ended = true;
    if (up_.ended && down_.ended) return Close();
    error_code error;
    d.to.shutdown(tcp::socket::shutdown_send, error);
    if (error) Reset();
  }

  TcpBalancer& balancer_;
  tcp::socket client_;
  tcp::socket server_;
  Direction up_{client_, server_, {}};
  Direction down_{server_, client_, {}};
  std::shared_ptr<Backend> backend_;
  std::vector<std::shared_ptr<Backend>> tried_;
  bool closed_ = false;
};

Status TcpBalancer::Listen() {
  error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) return InvalidArgumentError("\"{}\" is not an IP address", options_.address);
  const tcp::endpoint endpoint(address, CheckedCast<std::uint16_t>(options_.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) local_ = acceptor_.local_endpoint(error);
  if (error) {
    RETURN_IF_ERROR(CheckPortFree(options_.address, options_.port), "load balancer");
    return FailedPreconditionError("load balancer: listen on {}: {}", TextOf(endpoint),
                                   error.message());
  }
  Accept();
  thread_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "agent-balancer");
    io_.run();
  });
  return OkStatus();
}

void TcpBalancer::Accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket client) {
    if (error == asio::error::operation_aborted) return;
    if (!error) Take(std::move(client));
    if (!error || error == asio::error::connection_aborted) return Accept();
    // Out of descriptors, usually: give others time to close some.
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this](error_code stopped) {
      if (!stopped) Accept();
    });
  });
}

void TcpBalancer::Take(tcp::socket client) {
  const auto connection = std::make_shared<Connection>(*this, std::move(client));
  connections_.insert(connection);
  const bool full = connections_.size() > options_.connections_max;
  if (full && !full_)
    LogWarn("Load balancer: more than {} connections: new ones are refused",
            options_.connections_max);
  full_ = full;
  full ? connection->Reset() : connection->Start();
}

std::shared_ptr<Backend> TcpBalancer::Choose(const std::vector<std::shared_ptr<Backend>>& tried) {
  std::shared_ptr<Backend> best;
  const auto rank = [](const Backend& b) {
    return std::make_tuple(b.failed(), b.doubtful, b.connections, b.last_used);
  };
  for (const auto& backend : backends_) {
    if (std::find(tried.begin(), tried.end(), backend) != tried.end()) continue;
    if (!best || rank(*backend) < rank(*best)) best = backend;
  }
  if (best) best->last_used = ++choices_;
  return best;
}

Status TcpBalancer::SetBackends(const std::vector<std::string>& backends,
                                const std::vector<std::string>& doubtful) {
  if (backends.size() > kBackendsMax)
    return InvalidArgumentError("{} backends, at most {} can be balanced", backends.size(),
                                kBackendsMax);
  std::vector<Wanted> wanted;
  for (const std::string& text : backends) {
    ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseEndpoint(text), "load balancer");
    if (endpoint == local_)
      return InvalidArgumentError("load balancer: {} is the load balancer itself", text);
    const auto same = [&](const Wanted& w) { return w.endpoint == endpoint; };
    if (std::any_of(wanted.begin(), wanted.end(), same)) continue;
    wanted.push_back(
        {endpoint, std::find(doubtful.begin(), doubtful.end(), text) != doubtful.end()});
  }
  asio::post(io_, [this, wanted = std::move(wanted)] { Replace(wanted); });
  return OkStatus();
}

void TcpBalancer::Replace(const std::vector<Wanted>& wanted) {
  std::vector<std::shared_ptr<Backend>> next;
  for (const auto& [endpoint, doubtful] : wanted) {
    const auto same = [&at = endpoint](const auto& backend) { return backend->endpoint() == at; };
    const auto found = std::find_if(backends_.begin(), backends_.end(), same);
    next.push_back(found != backends_.end() ? *found
                                            : std::make_shared<Backend>(io_, options_, endpoint));
    next.back()->doubtful = doubtful;
  }
  for (const auto& backend : backends_)
    backend->removed = std::find(next.begin(), next.end(), backend) == next.end();
  backends_ = std::move(next);
  const auto all = connections_;  // Reset() removes from the set
  for (const auto& connection : all) {
    if (connection->backend() != nullptr && connection->backend()->removed) connection->Reset();
  }
}

void TcpBalancer::Shutdown() {
  error_code ignored;
  acceptor_.close(ignored);
  const auto all = connections_;
  for (const auto& connection : all) connection->Reset();
  io_.stop();
}

}  // namespace

StatusOr<std::unique_ptr<Balancer>> Balancer::Start(BalancerOptions options) {
  auto balancer = std::make_unique<TcpBalancer>(std::move(options));
  const Status listening = balancer->Listen();
  RETURN_IF_ERROR(listening);
  return balancer;
}

}  // namespace holdfast
