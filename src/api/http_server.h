// The supervisor's HTTPS listener: TLS, limits and time-outs, basic authentication, and a table of routes. The only file
// that knows Beast is http_server.cc.
//
// One thread does all network I/O and never blocks; handlers run on a few workers, except those that answer at once. What
// a peer can do is bounded: time for a handshake and a request, sizes of headers and body, connections, requests waiting
// for a worker. A peer that breaks a bound is dropped; others are served. When there are too many connections, the one that
// has kept us waiting longest for a request makes room for the new one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

struct ApiRequest {
  std::string method, path;  // path without query
  std::string body;
  std::string accept;  // the Accept header
};

struct ApiResponse {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow = {};  // the Allow header of a 405
};

// A handler that takes long may send lines before its answer: the first turns the answer into a stream of lines, of which
// the response's body is the last. A peer that reads slowly gets only the newest lines.
class LineStream {
 public:
  virtual ~LineStream() = default;
  virtual void Send(std::string line) = 0;
};

struct Route {
  // Who may call: anybody, who has the agents' or the server's password, who has the server's.
  enum class Access { kAnyone, kAgent, kServer };

  std::string method, path;
  Access access = Access::kServer;
  std::function<ApiResponse(const ApiRequest&, LineStream&)> handle;
  // `handle` waits for nothing, so it is called on the I/O thread: whoever asks whether the server lives must not wait
  // behind what takes long.
  bool at_once = false;
};

// The role of a user with a password, "<distribution>:server" or "<distribution>:agent"; nullopt if it is wrong.
using Authenticate =
    std::function<std::optional<std::string>(const std::string& user, const Secret& password)>;

struct HttpServerLimits {
  absl::Duration handshake_timeout = absl::Seconds(10);
  absl::Duration request_timeout =
      absl::Seconds(20);  // a connection's first request, to its last byte
  absl::Duration idle_timeout = absl::Seconds(60);   // every later one, and the pause before it
  absl::Duration write_timeout = absl::Seconds(30);  // for one piece of the answer
  absl::Duration linger_timeout =
      absl::Seconds(5);  // for the peer to take an answer that ends the connection
  std::uint32_t header_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 1 << 20;
  std::size_t connections_max = 512;
  int waiting_max = 64;  // requests handed to the workers and not yet answered
};

struct HttpServerOptions {
  std::string address;  // IP to listen on
  int port = 0;         // 0: any free one
  std::string certificate_pem;
  Secret key_pem;
  Authenticate authenticate;
  std::vector<Route> routes;
  HttpServerLimits limits = {};
};

class HttpServer {
 public:
  // Listens when this returns. kFailedPrecondition if the port is taken.
  static StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options);
  // Stops listening, drops connections, waits for running handlers.
  virtual ~HttpServer() = default;

  virtual int port() const = 0;
};

}  // namespace holdfast
