// The door to HTTP servers. One request, one answer; the answer's body may be taken as it comes.
// Errors: kUnavailable (cannot be reached), kDeadlineExceeded (no progress), kUnauthenticated (the server's certificate is
// not signed by the CA that is expected), kCancelled (stopped). An answer with an error code is an answer; redirects are not
// followed. No `Expect: 100-continue` is ever sent: it would cost a round trip.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

struct HttpRequest {
  std::string method = "GET";
  std::string url;                   // sent as it is: nothing is escaped, no ".." resolved
  std::vector<std::string> headers;  // "Accept: text/plain"
  std::string body;
  std::string_view body_view;  // instead of `body`, without a copy: must stay until Do() returns
  std::string user;            // basic authentication, if not empty
  Secret password;
  std::string ca_pem;        // who may have signed the server's certificate
  bool skip_verify = false;  // take any certificate: only to fetch a CA that is checked otherwise
  // URL of a proxy; "" for none; not set: the environment's, though never for this host.
  std::optional<std::string> proxy;
  absl::Duration connect_timeout = absl::Seconds(10);
  // Without a byte in either direction; heard within about a second. A total limit would cut off what is only long.
  absl::Duration stall_timeout = absl::Seconds(60);
  std::uint64_t bytes_per_second_max = 0;  // in each direction; 0: no limit
  std::stop_token stop = {};               // also within about a second
  std::size_t body_bytes_max = 64u << 20;
  // If set, gets the body in pieces, and HttpResponse::body stays empty. Only for answers with a 2xx code.
  std::function<Status(std::string_view piece)> on_body;
};

struct HttpResponse {
  int code = 0;
  std::string content_type;
  // In the order they came, names in lower case, together at most 64 KiB.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first of that name (in lower case); "" if there is none.
  std::string_view Header(std::string_view name) const;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual StatusOr<HttpResponse> Do(const HttpRequest& request) = 0;
};

// The real one. One request at a time: a thread needs its own. Connections are kept open for the next request.
std::unique_ptr<HttpClient> MakeHttpClient();

}  // namespace holdfast
