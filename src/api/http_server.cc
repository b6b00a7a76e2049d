#include "api/http_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/text.h"
#include "keys/base64.h"
#include "os/host.h"
#include "protocol/snapshot_api.h"

namespace holdfast {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kWorkers = 4;
// What is read and thrown away from a peer that still sends while it should take our answer.
constexpr std::size_t kDrainBytesMax = 16u << 20;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

struct Credentials {
  std::string user;
  Secret password;
};

std::optional<Credentials> BasicCredentials(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  if (header.size() < kScheme.size() || ToLower(header.substr(0, kScheme.size())) != kScheme)
    return std::nullopt;
  const auto decoded = Base64Decode(Trim(header.substr(kScheme.size())));
  if (!decoded) return std::nullopt;
  const auto colon = decoded->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return Credentials{decoded->substr(0, colon), Secret(decoded->substr(colon + 1))};
}

ApiResponse ErrorResponse(int code, const Status& status) {
  return {.code = code, .content_type = kJsonType, .body = EncodeError(status)};
}

bool RoleAllows(const std::string& role, Route::Access access) {
  if (role.ends_with(":server")) return true;
  return access == Route::Access::kAgent && role.ends_with(":agent");
}

class Connection;

class Server final : public HttpServer {
 public:
  explicit Server(HttpServerOptions options)
      : options_(std::move(options)), acceptor_(io_), workers_(kWorkers) {}

  ~Server() override {
    if (io_thread_.joinable()) {
      asio::post(io_, [this] { Shutdown(); });
      io_thread_.join();
    }
    workers_.join();
  }

  Status Listen();

  int port() const override { return port_; }
  const HttpServerOptions& options() const { return options_; }
  asio::ssl::context& tls() { return tls_; }
  asio::io_context& io() { return io_; }

  // Hands work to a worker; false if too much is waiting.
  bool Post(std::function<void()> work) {
    if (waiting_.fetch_add(1) >= options_.limits.waiting_max) {
      waiting_.fetch_sub(1);
      return false;
    }
    asio::post(workers_, [this, work = std::move(work)] {
      work();
      waiting_.fetch_sub(1);
    });
    return true;
  }

  void Remove(const std::shared_ptr<Connection>& connection) { connections_.erase(connection); }

 private:
  void Accept();
  // Drops the connection that has kept us waiting longest; false if all are being served.
  bool MakeRoom();
  void Shutdown();

  const HttpServerOptions options_;
  int port_ = 0;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_;
  asio::thread_pool workers_;
  std::atomic<int> waiting_ = 0;
  std::set<std::shared_ptr<Connection>> connections_;  // only on the I/O thread
  std::jthread io_thread_;
};

// One peer. All members belong to the I/O thread, except what Lines guards for itself.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, tcp::socket socket)
      : server_(server),
        stream_(std::move(socket), server.tls()),
        buffer_(server.options().limits.header_bytes_max +
                CheckedCast<std::size_t>(server.options().limits.body_bytes_max)) {}

  void Start() {
    ExpireAfter(limits().handshake_timeout);
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this()](error_code error) {
                              if (error) return self->Close();
                              self->ReadRequest(self->limits().request_timeout);
                            });
  }

  // A request is being answered.
  bool busy() const { return busy_; }
  // Since when it is not.
  std::chrono::steady_clock::time_point waiting_since() const { return waiting_since_; }

  void Close() {
    // The peer may be gone or hostile: no polite TLS shutdown that it could delay.
    error_code ignored;
    beast::get_lowest_layer(stream_).socket().close(ignored);
    server_.Remove(shared_from_this());
  }

 private:
  // Lines of a handler on a worker, on their way to the I/O thread.
  class Lines final : public LineStream {
   public:
    explicit Lines(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    void Send(std::string line) override {
      if (connection_->version_ < 11)
        return;  // HTTP/1.0 knows no chunks: the whole answer comes at the end
      asio::post(connection_->server_.io(), [c = connection_, line = std::move(line)]() mutable {
        c->SendLine(std::move(line));
      });
    }

   private:
    std::shared_ptr<Connection> connection_;
  };

  const HttpServerLimits& limits() const { return server_.options().limits; }

  void ExpireAfter(absl::Duration length) {
    beast::get_lowest_layer(stream_).expires_after(absl::ToChronoNanoseconds(length));
  }

  void ReadRequest(absl::Duration timeout) {
    busy_ = false;
    waiting_since_ = std::chrono::steady_clock::now();
    parser_.emplace();
    parser_->header_limit(limits().header_bytes_max);
    parser_->body_limit(limits().body_bytes_max);
    ExpireAfter(timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (!error) return self->Dispatch();
                       const auto refusal = RefusalOf(error);
                       if (!refusal) return self->Close();
                       self->keep_alive_ = false;
                       self->Respond(*refusal);
                     });
  }

  // What a request that could not be read is answered with; nullopt if nobody is left to be told.
  static std::optional<ApiResponse> RefusalOf(error_code error) {
    if (error == http::error::body_limit)
      return ErrorResponse(413, ResourceExhaustedError("the request's body is too large"));
    if (error == http::error::header_limit)
      return ErrorResponse(431, ResourceExhaustedError("the request's headers are too large"));
    const bool is_syntax =
        error.category() == http::make_error_code(http::error::bad_method).category();
    if (!is_syntax || error == http::error::end_of_stream || error == http::error::partial_message)
      return std::nullopt;
    return ErrorResponse(400, InvalidArgumentError("the request is not HTTP: {}", error.message()));
  }

  void Dispatch() {
    const auto& request = parser_->get();
    busy_ = true;
    keep_alive_ = request.keep_alive();
    version_ = request.version();
    const std::string target(request.target());
    ApiRequest api{.method = std::string(request.method_string()),
                   .path = target.substr(0, target.find('?')),
                   .body = request.body(),
                   .accept = std::string(request[http::field::accept])};
    const Route* route = nullptr;
    std::vector<std::string> methods;  // that the path takes
    for (const Route& r : server_.options().routes) {
      if (r.path != api.path) continue;
      methods.push_back(r.method);
      if (r.method == api.method) route = &r;
    }
    if (route == nullptr) {
      if (methods.empty())
        return Respond(ErrorResponse(404, NotFoundError("there is nothing at {}", api.path)));
      ApiResponse refusal =
          ErrorResponse(405, InvalidArgumentError("{} does not take {}", api.path, api.method));
      refusal.allow = Join(methods, ", ");
      return Respond(std::move(refusal));
    }
    if (const auto refused = CheckAccess(*route, std::string(request[http::field::authorization])))
      return Respond(*refused);
    if (route->at_once) {
      Lines lines(shared_from_this());
      return Respond(route->handle(api, lines));
    }
    // While the handler works nothing is read; its own deadlines bound it.
    beast::get_lowest_layer(stream_).expires_never();
    const bool posted = server_.Post([self = shared_from_this(), route, api = std::move(api)] {
      Lines lines(self);
      ApiResponse response = route->handle(api, lines);
      asio::post(self->server_.io(), [self, response = std::move(response)]() mutable {
        self->Respond(std::move(response));
      });
    });
    if (!posted) Respond(ErrorResponse(503, UnavailableError("the server is busy")));
  }

  std::optional<ApiResponse> CheckAccess(const Route& route, std::string_view authorization) {
    if (route.access == Route::Access::kAnyone) return std::nullopt;
    const auto credentials = BasicCredentials(authorization);
    const auto role = credentials
                          ? server_.options().authenticate(credentials->user, credentials->password)
                          : std::nullopt;
    if (!role) return ErrorResponse(401, UnauthenticatedError("user or password is wrong"));
    if (!RoleAllows(*role, route.access))
      return ErrorResponse(403, PermissionDeniedError("the role {} may not do this", *role));
    return std::nullopt;
  }

  // --- answers ---

  void Respond(ApiResponse response) {
    if (streaming_) {
      final_line_ = std::move(response.body);
      return WriteNextLine();
    }
    response_.emplace();
    response_->version(version_);
    response_->result(static_cast<unsigned>(response.code));
    response_->set(http::field::content_type, response.content_type);
    if (response.code == 401)
      response_->set(http::field::www_authenticate, "Basic realm=\"holdfast\"");
    if (!response.allow.empty()) response_->set(http::field::allow, response.allow);
    response_->keep_alive(keep_alive_);
    response_->body() = std::move(response.body);
    response_->prepare_payload();
    ExpireAfter(limits().write_timeout);
    http::async_write(
        stream_, *response_,
        [self = shared_from_this()](error_code error, std::size_t) { self->AfterAnswer(error); });
  }

  void AfterAnswer(error_code error) {
    if (error) return Close();
    if (!keep_alive_) return Linger();
    ReadRequest(limits().idle_timeout);
  }

  // A connection closed while its peer still sends is reset, and the answer is lost with it: let the peer end first.
  void Linger() {
    busy_ = false;
    waiting_since_ = std::chrono::steady_clock::now();
    error_code ignored;
    beast::get_lowest_layer(stream_).socket().shutdown(tcp::socket::shutdown_send, ignored);
    ExpireAfter(limits().linger_timeout);
    Drain();
  }

  void Drain() {
    beast::get_lowest_layer(stream_).async_read_some(
        asio::buffer(drain_), [self = shared_from_this()](error_code error, std::size_t n) {
          self->drained_bytes_ += n;
          if (error || self->drained_bytes_ > kDrainBytesMax) return self->Close();
          self->Drain();
        });
  }

  // The first line starts a chunked answer. While one is being written only the newest waits.
  void SendLine(std::string line) {
    next_line_ = std::move(line);
    if (!streaming_) {
      streaming_ = true;
      head_.emplace();
      head_->version(version_);
      head_->result(http::status::ok);
      head_->set(http::field::content_type, kLinesType);
      head_->keep_alive(keep_alive_);
      head_->chunked(true);
      head_serializer_.emplace(*head_);
      writing_ = true;
      ExpireAfter(limits().write_timeout);
      http::async_write_header(stream_, *head_serializer_,
                               [self = shared_from_this()](error_code error, std::size_t) {
                                 self->writing_ = false;
                                 if (error) return self->Close();
                                 self->WriteNextLine();
                               });
      return;
    }
    WriteNextLine();
  }

  void WriteNextLine() {
    if (writing_) return;
    if (!next_line_.empty()) {
      line_ = std::move(next_line_);
      next_line_.clear();
    } else if (final_line_) {
      line_ = std::move(*final_line_);
      final_line_.reset();
      last_ = true;
    } else {
      return;
    }
    writing_ = true;
    ExpireAfter(limits().write_timeout);
    asio::async_write(stream_, http::make_chunk(asio::buffer(line_)),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->writing_ = false;
                        if (error) return self->Close();
                        if (!self->last_) return self->WriteNextLine();
                        asio::async_write(self->stream_, http::make_chunk_last(),
                                          [self](error_code last_error, std::size_t) {
                                            self->streaming_ = self->last_ = false;
                                            self->AfterAnswer(last_error);
                                          });
                      });
  }

  Server& server_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  bool busy_ = false;
  std::chrono::steady_clock::time_point waiting_since_ = std::chrono::steady_clock::now();
  std::optional<http::request_parser<http::string_body>> parser_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  std::optional<http::response<http::string_body>> response_;
  // A streamed answer.
  std::optional<http::response<http::empty_body>> head_;
  std::optional<http::response_serializer<http::empty_body>> head_serializer_;
  bool streaming_ = false, writing_ = false, last_ = false;
  std::string line_, next_line_;
  std::optional<std::string> final_line_;
  std::array<char, 4 * 1024> drain_;
  std::size_t drained_bytes_ = 0;
};

Status Server::Listen() {
  error_code error;
  tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1,
                   error);
  tls_.use_certificate_chain(asio::buffer(options_.certificate_pem), error);
  if (!error)
    tls_.use_private_key(asio::buffer(options_.key_pem.reveal()), asio::ssl::context::pem, error);
  if (error)
    return FailedPreconditionError("the supervisor's certificate cannot be used: {}",
                                   error.message());
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) return InvalidArgumentError("\"{}\" is not an IP address", options_.address);
  const tcp::endpoint endpoint(address, static_cast<unsigned short>(options_.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    RETURN_IF_ERROR(CheckPortFree(options_.address, options_.port), "supervisor");
    return FailedPreconditionError("supervisor: listen on {}:{}: {}", options_.address,
                                   options_.port, error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  Accept();
  io_thread_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "api-io");
    io_.run();
  });
  return OkStatus();
}

void Server::Accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && (connections_.size() < options_.limits.connections_max || MakeRoom())) {
      // An answer goes out in pieces; without this each waits until the peer has acknowledged the one before, up to 40 ms.
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      auto connection = std::make_shared<Connection>(*this, std::move(socket));
      connections_.insert(connection);
      connection->Start();
    }
    if (error && error != asio::error::connection_aborted) {
      // Out of descriptors, usually: give others time to close some.
      MakeRoom();
      auto timer = std::make_shared<asio::steady_timer>(io_, kAcceptPause);
      timer->async_wait([this, timer](error_code stopped) {
        if (!stopped) Accept();
      });
      return;
    }
    Accept();
  });
}

bool Server::MakeRoom() {
  std::shared_ptr<Connection> oldest;
  for (const auto& connection : connections_) {
    if (!connection->busy() && (!oldest || connection->waiting_since() < oldest->waiting_since()))
      oldest = connection;
  }
  if (oldest) oldest->Close();
  return oldest != nullptr;
}

void Server::Shutdown() {
  error_code ignored;
  acceptor_.close(ignored);
  // Close() removes from the set.
  const auto all = connections_;
  for (const auto& connection : all) connection->Close();
  io_.stop();
}

}  // namespace

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options) {
  auto server = std::make_unique<Server>(std::move(options));
  const Status listening = server->Listen();
  RETURN_IF_ERROR(listening);
  return server;
}

}  // namespace holdfast
