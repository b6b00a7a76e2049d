#include "wire/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <mutex>

#include "base/bytes.h"
#include "base/text.h"

namespace holdfast {
namespace {

void InitCurlOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

constexpr std::size_t kHeaderBytesMax = 64 * kKiB;
constexpr long kBufferBytes = 512 * kKiB;  // libcurl's largest; its own 16 and 64 KiB cost speed

struct Transfer {
  const HttpRequest& request;
  CURL* handle;
  curl_socket_t& socket;  // of the newest connection
  HttpResponse response;
  std::size_t header_bytes = 0;
  Status status;         // why a callback ended it
  curl_off_t moved = 0;  // bytes in both directions
  std::chrono::steady_clock::time_point moved_at = std::chrono::steady_clock::now();
};

// A proxy of the environment is for the world outside, not for this host.
bool IsLoopback(const std::string& url) {
  const auto start = url.find("://");
  std::string_view host = std::string_view(url).substr(start == std::string::npos ? 0 : start + 3);
  host = host.substr(0, host.find('/'));
  return host.starts_with("127.") || host.starts_with("[::1]") || host == "localhost" ||
         host.starts_with("localhost:");
}

long ResponseCode(CURL* handle) {
  long code = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

// Acknowledges what came so far at once. A server with Nagle's algorithm on (Ceph RGW's default) sends the body after the
// headers were acknowledged, and the kernel delays that by 40 ms: 25 small answers a second instead of a thousand.
void AcknowledgeNow(curl_socket_t socket) {
  const int on = 1;
  // best effort: it only saves time
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// libcurl's socket callback, for each new connection. CURLINFO_ACTIVESOCKET knows none before the end of the transfer.
int OnSocket(void* user, curl_socket_t socket, curlsocktype) {
  *static_cast<curl_socket_t*>(user) = socket;
  return CURL_SOCKOPT_OK;
}

// libcurl's header callback: one line at a time, status lines too. A new status line (after "100 Continue") begins anew.
std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kHeaderBytesMax) {
    transfer.status =
        ResourceExhaustedError("the answer's headers are longer than {} bytes", kHeaderBytesMax);
    return 0;
  }
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();
  if (line == "\r\n") AcknowledgeNow(transfer.socket);
  const auto colon = line.find(':');
  if (colon != std::string_view::npos && !line.starts_with("HTTP/")) {
    transfer.response.headers.emplace_back(ToLower(Trim(line.substr(0, colon))),
                                           Trim(line.substr(colon + 1)));
  }
  return line.size();
}

// libcurl's progress callback, called at least once a second: anything but 0 ends the transfer. Its own detection of stalls
// goes by the speed of the last seconds, and with a short time-out comes some seconds late.
int OnProgress(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
  auto& transfer = *static_cast<Transfer*>(user);
  const HttpRequest& request = transfer.request;
  if (request.stop.stop_requested()) {
    transfer.status = CancelledError("stopped");
    return 1;
  }
  const auto now = std::chrono::steady_clock::now();
  if (received + sent != transfer.moved) {
    transfer.moved = received + sent;
    transfer.moved_at = now;
  } else if (now - transfer.moved_at > absl::ToChronoNanoseconds(request.stall_timeout)) {
    transfer.status = DeadlineExceededError("{}: no answer: nothing came or went for {}",
                                            request.url, FormatGoDuration(request.stall_timeout));
  }
  return transfer.status.ok() ? 0 : 1;
}

// libcurl's write callback: anything but the size given ends the transfer.
std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view piece(data, size * count);
  const long code = ResponseCode(transfer.handle);
  if (transfer.request.on_body && code >= 200 && code < 300) {
    transfer.status = transfer.request.on_body(piece);
    return transfer.status.ok() ? piece.size() : 0;
  }
  if (transfer.response.body.size() + piece.size() > transfer.request.body_bytes_max) {
    transfer.status = ResourceExhaustedError("the answer is longer than {} bytes",
                                             transfer.request.body_bytes_max);
    return 0;
  }
  transfer.response.body.append(piece);
  return piece.size();
}

Status FromCurl(CURLcode code, const char* detail, const HttpRequest& request) {
  const std::string text = detail[0] != 0 ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return DeadlineExceededError("{}: no answer: {}", request.url, text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
      return UnauthenticatedError("{}: {}", request.url, text);
    case CURLE_URL_MALFORMAT:
      return InvalidArgumentError("{}: {}", request.url, text);
    default:
      return UnavailableError("{}: {}", request.url, text);
  }
}

class CurlClient final : public HttpClient {
 public:
  CurlClient() {
    InitCurlOnce();
    handle_ = curl_easy_init();
    CHECK(handle_ != nullptr);
  }
  ~CurlClient() override { curl_easy_cleanup(handle_); }
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  StatusOr<HttpResponse> Do(const HttpRequest& request) override {
    // libcurl has one code for this and for an answer that is not HTTP.
    if (!request.url.starts_with("https://") && !request.url.starts_with("http://")) {
      return InvalidArgumentError("\"{}\" is no http or https URL", request.url);
    }
    curl_easy_reset(handle_);
    struct Lists {
      curl_slist* headers = nullptr;
      ~Lists() { curl_slist_free_all(headers); }
    } lists;
    for (const std::string& header : request.headers)
      lists.headers = curl_slist_append(lists.headers, header.c_str());
    // A 100-continue would only cost a round trip.
    lists.headers = curl_slist_append(lists.headers, "Expect:");
    char detail[CURL_ERROR_SIZE] = "";
    Transfer transfer{.request = request, .handle = handle_, .socket = socket_};

    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_ERRORBUFFER, detail);
    Set(CURLOPT_URL, request.url.c_str());
    Set(CURLOPT_PATH_AS_IS, 1L);
    Set(CURLOPT_PROTOCOLS_STR, "https,http");
    Set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    Set(CURLOPT_HTTPHEADER, lists.headers);
    Set(CURLOPT_USERAGENT, "holdfast");
    const std::string_view body = request.body_view.empty() ? request.body : request.body_view;
    if (request.method == "POST" || request.method == "PUT" || !body.empty()) {
      Set(CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
      Set(CURLOPT_POSTFIELDSIZE_LARGE, CheckedCast<curl_off_t>(body.size()));
    }
    if (request.method == "HEAD") Set(CURLOPT_NOBODY, 1L);
    if (!request.user.empty()) {
      Set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      Set(CURLOPT_USERNAME, request.user.c_str());
      Set(CURLOPT_PASSWORD, request.password.reveal().c_str());
    }
    SetProxy(request);
    SetTls(request);
    Set(CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(absl::ToInt64Milliseconds(request.connect_timeout)));
    if (request.bytes_per_second_max > 0) {
      const auto limit = CheckedCast<curl_off_t>(request.bytes_per_second_max);
      Set(CURLOPT_MAX_SEND_SPEED_LARGE, limit);
      Set(CURLOPT_MAX_RECV_SPEED_LARGE, limit);
    }
    // Hints: refused while a buffer of the last request is still there, as after a name that was not found.
    (void)curl_easy_setopt(handle_, CURLOPT_BUFFERSIZE, kBufferBytes);
    (void)curl_easy_setopt(handle_, CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
    SetCallbacks(transfer);

    const CURLcode code = curl_easy_perform(handle_);
    RETURN_IF_ERROR(transfer.status);
    if (code != CURLE_OK) return FromCurl(code, detail, request);
    transfer.response.code = static_cast<int>(ResponseCode(handle_));
    const char* type = nullptr;
    curl_easy_getinfo(handle_, CURLINFO_CONTENT_TYPE, &type);
    if (type != nullptr) transfer.response.content_type = type;
    return std::move(transfer.response);
  }

 private:
  template <typename T>
  void Set(CURLoption option, T value) {
    CHECK(curl_easy_setopt(handle_, option, value) == CURLE_OK);
  }

  void SetCallbacks(Transfer& transfer) {
    Set(CURLOPT_SOCKOPTFUNCTION, &OnSocket);
    Set(CURLOPT_SOCKOPTDATA, &socket_);
    Set(CURLOPT_HEADERFUNCTION, &OnHeader);
    Set(CURLOPT_HEADERDATA, &transfer);
    Set(CURLOPT_WRITEFUNCTION, &OnBody);
    Set(CURLOPT_WRITEDATA, &transfer);
    Set(CURLOPT_NOPROGRESS, 0L);
    Set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
    Set(CURLOPT_XFERINFODATA, &transfer);
  }

  void SetProxy(const HttpRequest& request) {
    Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (request.proxy) {
      Set(CURLOPT_PROXY, request.proxy->c_str());
      Set(CURLOPT_NOPROXY, "");  // asked for by name: the environment's exceptions do not count
    } else if (IsLoopback(request.url)) {
      Set(CURLOPT_NOPROXY, "*");
    }
  }

  void SetTls(const HttpRequest& request) {
    if (request.skip_verify) {
      Set(CURLOPT_SSL_VERIFYPEER, 0L);
      Set(CURLOPT_SSL_VERIFYHOST, 0L);
      return;
    }
    if (request.ca_pem.empty()) return;
    curl_blob ca{.data = const_cast<char*>(request.ca_pem.data()),
                 .len = request.ca_pem.size(),
                 .flags = CURL_BLOB_COPY};
    Set(CURLOPT_CAINFO_BLOB, &ca);
    Set(CURLOPT_CAPATH, nullptr);  // Debian's default would be trusted as well
  }

  CURL* handle_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
};

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::unique_ptr<HttpClient> MakeHttpClient() { return std::make_unique<CurlClient>(); }

}  // namespace holdfast
