// The door to HTTP servers. One request, one answer; the answer's body may be taken as it comes.
// Errors: kUnavailable (cannot be reached), kDeadlineExceeded (no progress), kUnauthenticated (the server's certificate is
// not signed by the CA that is expected). An answer with an error code is an answer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Accept: text/plain"
  std::string body;
  std::string user;  // basic authentication, if not empty
  Secret password;
  std::string ca_pem;        // who may have signed the server's certificate
  bool skip_verify = false;  // take any certificate: only to fetch a CA that is checked otherwise
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration stall_timeout = absl::Seconds(60);  // without a byte in either direction
  std::size_t body_bytes_max = 64u << 20;
  // If set, gets the body in pieces, and HttpResponse::body stays empty. Only for answers with a 2xx code.
  std::function<Status(std::string_view piece)> on_body;
};

struct HttpResponse {
  int code = 0;
  std::string content_type;
  std::string body;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual StatusOr<HttpResponse> Do(const HttpRequest& request) = 0;
};

// The real one. One request at a time.
std::unique_ptr<HttpClient> MakeHttpClient();

}  // namespace holdfast
