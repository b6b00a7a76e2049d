#include "store/s3/client.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "store/s3/answers.h"

namespace holdfast {
namespace {

// A try that hears nothing for so long is given up and made again, on another connection.
constexpr absl::Duration kStallMax = absl::Seconds(60);
constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kCleanUpMax = absl::Seconds(5);  // for one try
constexpr std::size_t kAnswerBytesMax = 16 * kMiB;        // 1,000 keys of 1,024 bytes, each escaped

bool IsOneOf(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Besides the HTTP codes: what may pass, or was damaged on the way.
bool MayPass(int http, std::string_view code) {
  if (http == 408 || http == 429 || http == 499 || http == 500 || http == 502 || http == 503 ||
      http == 504 || http == 520)
    return true;
  return IsOneOf(code, {"RequestTimeout", "Throttling", "ThrottlingException", "RequestThrottled",
                        "RequestLimitExceeded", "InternalError", "SlowDown", "SlowDownRead",
                        "SlowDownWrite", "ServiceUnavailable", "OperationAborted", "BadDigest",
                        "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeoutException"});
}

StatusCode CodeOf(int http, std::string_view code) {
  if (code == "RequestTimeTooSkewed") return StatusCode::kFailedPrecondition;
  if (MayPass(http, code)) return StatusCode::kUnavailable;
  if (IsOneOf(code, {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
                     "TokenRefreshRequired", "InvalidSecurity"}))
    return StatusCode::kUnauthenticated;
  if (IsOneOf(code, {"QuotaExceeded", "EntityTooLarge", "InsufficientStorage",
                     "TooManyRequestsException"}))
    return StatusCode::kResourceExhausted;
  if (IsOneOf(code, {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect",
                     "InvalidBucketName", "IllegalLocationConstraintException"}))
    return StatusCode::kInvalidArgument;
  switch (http) {
    case 301:
    case 302:
    case 307:
    case 308:
      return StatusCode::kInvalidArgument;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
    case 405:  // how a locked object is sometimes refused
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 501:
      return StatusCode::kUnimplemented;
    case 507:
      return StatusCode::kResourceExhausted;
    default:
      return StatusCode::kFailedPrecondition;
  }
}

absl::Duration RetryAfter(const HttpResponse& answer) {
  const auto seconds = ParseUint(answer.Header("retry-after"));  // the date form is not used by S3
  return seconds ? absl::Seconds(std::min<std::uint64_t>(*seconds, 3600)) : absl::ZeroDuration();
}

// There was no answer.
Status TransportError(const S3Request& request, const S3Options& options, const Status& error) {
  // Of whom it says that it cannot be reached may be the proxy. Its URL may hold a password.
  const bool by_proxy = !options.proxy.empty() && options.proxy != "none";
  const Status status = Annotate(error, request.method + (by_proxy ? " by etcd-s3-proxy" : ""));
  if (absl::IsUnauthenticated(error)) {
    return WithHint(
        status,
        "This host does not trust the server's certificate: etcd-s3-endpoint-ca names its CA.");
  }
  if (MessageOf(error).find("wrong version number") != std::string::npos)
    return WithHint(status, "The server may speak plain http: that is etcd-s3-insecure.");
  return status;
}

}  // namespace

std::optional<absl::Time> DateOf(const HttpResponse& answer) {
  const std::string text(answer.Header("date"));
  absl::Time time;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, &error)) return std::nullopt;
  return time;
}

S3Client::S3Client(const S3Options& options, S3Endpoint endpoint, const S3Context& context)
    : options_(options),
      endpoint_(std::move(endpoint)),
      context_(context),
      credentials_(CredentialsSources(options_, context_), context_.clock) {}

RetryPolicy S3Client::first_contact() const {
  return {.patience = std::min(options_.timeout, absl::Seconds(20)),
          .tries_max = 10,
          .delay_max = absl::Seconds(1)};
}

std::string S3Client::Location(const std::string& key) const {
  return fmt::format("s3://{}/{}", options_.bucket, key);
}

std::string S3Client::url() const {
  return endpoint_.scheme + "://" + endpoint_.host + endpoint_.path_prefix;
}

std::unique_ptr<HttpClient> S3Client::Borrow() {
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      auto http = std::move(idle_.back());
      idle_.pop_back();
      return http;
    }
  }
  return context_.make_http();
}

void S3Client::Return(std::unique_ptr<HttpClient> http) {
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(http));
}

StatusOr<HttpResponse> S3Client::Call(const S3Request& request) { return Call(request, policy()); }

StatusOr<HttpResponse> S3Client::Call(const S3Request& request, const RetryPolicy& policy) {
  S3Request hashed = request;
  if (hashed.body_sha256.empty())
    hashed.body_sha256 = hashed.body.empty() ? kEmptySha256 : HexOf(Sha256Of(BytesOf(hashed.body)));
  if (request.even_if_stopped) {
    hashed.stop = {};
  } else if (!request.stop.stop_possible()) {
    hashed.stop = context_.stop;
  }
  Retry retry = MakeRetry(policy, hashed.stop);
  while (true) {
    Try result = CallOnce(hashed);
    if (result.answer.ok()) return std::move(result.answer);
    RETURN_IF_ERROR(retry.Again(result.answer.status(), result.asked));
  }
}

Status S3Client::CleanUp(S3Request request) {
  request.even_if_stopped = true;
  return Call(request, {.patience = kCleanUpMax, .tries_max = 3, .delay_max = absl::Seconds(1)})
      .status();
}

S3Client::Try S3Client::CallOnce(const S3Request& request) {
  StatusOr<S3Credentials> credentials = credentials_.Get();
  if (!credentials.ok()) return {.answer = credentials.status()};
  Try result = Send(request, *credentials);
  if (!result.credentials_refused) return result;
  // Keys that were changed, or a session that ended early: once with what their source says now.
  if (!credentials_.Renew(*credentials)) return result;
  credentials = credentials_.Get();
  if (!credentials.ok()) return result;
  return Send(request, *credentials);
}

S3Client::Try S3Client::Send(const S3Request& request, const S3Credentials& credentials) {
  const std::string path = endpoint_.PathOf(request.key);
  const absl::Duration timeout =
      request.even_if_stopped ? std::min(options_.timeout, kCleanUpMax) : options_.timeout;
  HttpRequest http{.method = request.method,
                   .url = fmt::format("{}://{}{}", endpoint_.scheme, endpoint_.host, path),
                   .body_view = request.body,
                   .ca_pem = endpoint_.ca_pem,
                   .skip_verify = options_.skip_ssl_verify,
                   .proxy = endpoint_.proxy,
                   .connect_timeout = std::min(timeout, kConnectTimeout),
                   .stall_timeout = request.patient ? timeout : std::min(timeout, kStallMax),
                   .bytes_per_second_max = options_.bytes_per_second_max,
                   .stop = request.stop,
                   .body_bytes_max = kAnswerBytesMax,
                   .on_body = request.on_body};
  if (!request.query.empty()) http.url += "?" + QueryText(request.query);
  std::map<std::string, std::string> headers = request.headers;
  // Or libcurl would say that it is a form.
  if (request.method == "POST" || request.method == "PUT")
    headers.try_emplace("content-type", "application/octet-stream");
  if (!credentials.access_key.empty()) {
    headers = SignedHeaders(
        {.method = request.method,
         .host = endpoint_.host,
         .path = path,
         .query = request.query,
         .headers = std::move(headers),
         .payload_sha256 = request.body_sha256.empty() ? kEmptySha256 : request.body_sha256},
        credentials, endpoint_.region, context_.clock.Now());
  }
  http.headers.push_back("Host: " + endpoint_.host);
  for (const auto& [name, value] : headers) http.headers.push_back(name + ": " + value);

  std::unique_ptr<HttpClient> client = Borrow();
  StatusOr<HttpResponse> answer = client->Do(http);
  Return(std::move(client));
  if (!answer.ok()) return {.answer = TransportError(request, options_, answer.status())};
  const bool error_inside =
      request.method == "POST" && answer->code == 200 && ParseS3Error(answer->body).has_value();
  if (answer->code >= 200 && answer->code < 300 && !error_inside) {
    trouble_told_ = false;
    return {.answer = std::move(answer)};
  }
  const Status error = ErrorOf(request, *answer, credentials);
  return {.answer = error,
          .asked = RetryAfter(*answer),
          .credentials_refused = absl::IsPermissionDenied(error) || absl::IsUnauthenticated(error)};
}

Status S3Client::ErrorOf(const S3Request& request, const HttpResponse& answer,
                         const S3Credentials& credentials) {
  const S3Error error = ParseS3Error(answer.body).value_or(S3Error());
  std::string text = fmt::format("{} {}: {}", request.method, Location(request.key), answer.code);
  if (!error.code.empty()) text += " " + error.code;
  if (!error.message.empty()) text += ": " + error.message;
  const Status status = MakeStatus(CodeOf(answer.code, error.code), text);

  if (error.code == "RequestTimeTooSkewed") {
    const auto theirs = DateOf(answer);
    if (!theirs) return WithHint(status, "Set this host's clock (NTP).");
    const absl::Duration ahead = absl::Trunc(context_.clock.Now() - *theirs, absl::Seconds(1));
    return WithHint(status, fmt::format("This host's clock is {} {} the server's. Set it (NTP).",
                                        FormatGoDuration(absl::AbsDuration(ahead)),
                                        ahead < absl::ZeroDuration() ? "behind" : "ahead of"));
  }
  std::string region = error.region;
  if (region.empty()) region = answer.Header("x-amz-bucket-region");
  if (absl::IsInvalidArgument(status) && !region.empty() && region != endpoint_.region) {
    return WithHint(status,
                    fmt::format("The bucket's region is {:.40}: set etcd-s3-region.", region));
  }
  // In whatever words: Swift does not take an anonymous request for S3 at all, and says 412.
  const bool refused = answer.code >= 400 && answer.code < 500 && !absl::IsNotFound(status);
  if (refused && credentials.access_key.empty()) return WithHint(status, credentials_.WhyNone());
  if (absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status)) {
    if (error.code == "SignatureDoesNotMatch")
      return WithHint(status, "The secret key does not belong to the access key.");
    if (error.code == "InvalidAccessKeyId")
      return WithHint(status, "The server does not know this access key.");
  }
  if (error.code == "InvalidObjectState")
    return WithHint(status,
                    "The object is archived: restore it to a readable storage class first.");
  return status;
}

}  // namespace holdfast
