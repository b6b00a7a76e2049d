// Requests to one bucket: signed, tried again while that may help, and their errors as Status.
//
//   403, 401                          kPermissionDenied, kUnauthenticated (wrong or expired credentials)
//   404                               kNotFound
//   301, 307, a wrong region          kInvalidArgument with a hint that names the right one
//   408, 429, 5xx, network, damage    kUnavailable, kDeadlineExceeded: after they were tried again
//   507, quota                        kResourceExhausted
//   a clock too far off               kFailedPrecondition
//   others                            kFailedPrecondition
// Messages name method and object, HTTP and S3 code, and what the server said.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "store/s3/credentials.h"
#include "store/s3/endpoint.h"
#include "store/s3/retry.h"
#include "wire/http_client.h"

namespace holdfast {

struct S3Request {
  std::string method = "GET";
  std::string key = {};  // the whole key; empty: the bucket
  S3Query query = {};
  std::map<std::string, std::string> headers = {};  // names in lower case; signed
  std::string_view body = {};                       // borrowed
  std::string body_sha256 = {};                     // in hex, if the caller has it already
  std::function<Status(std::string_view piece)> on_body = {};
  // For answers that the server may take long to begin.
  bool patient = false;
  // Instead of the client's (S3Context::stop).
  std::stop_token stop = {};
  bool even_if_stopped = false;  // set by CleanUp()
};

// Thread-safe.
class S3Client {
 public:
  S3Client(const S3Options& options, S3Endpoint endpoint, const S3Context& context);

  // A 2xx answer, or an error. Not for requests with on_body.
  StatusOr<HttpResponse> Call(const S3Request& request);
  StatusOr<HttpResponse> Call(const S3Request& request, const RetryPolicy& policy);

  // Takes back what was begun, also after a stop: not tried for longer than about ten seconds.
  Status CleanUp(S3Request request);

  // One try.
  struct Try {
    StatusOr<HttpResponse> answer;
    absl::Duration asked = absl::ZeroDuration();  // how long the server wants us to wait
    bool credentials_refused = false;
  };
  Try CallOnce(const S3Request& request);

  // For the first contact, where settings may be wrong and somebody waits: about five seconds.
  RetryPolicy first_contact() const;
  RetryPolicy policy() const { return {.patience = options_.timeout}; }
  Retry MakeRetry(const RetryPolicy& policy, std::stop_token stop) {
    return Retry(context_.clock, context_.random, policy, trouble_told_, std::move(stop));
  }
  Retry MakeRetry(std::stop_token stop) { return MakeRetry(policy(), std::move(stop)); }

  // "s3://bucket/key"
  std::string Location(const std::string& key) const;

  // Of the bucket: "https://host/bucket"
  std::string url() const;

  const S3Options& options() const { return options_; }
  const S3Context& context() const { return context_; }
  CredentialsChain& credentials() { return credentials_; }

 private:
  Try Send(const S3Request& request, const S3Credentials& credentials);
  Status ErrorOf(const S3Request& request, const HttpResponse& answer,
                 const S3Credentials& credentials);
  std::unique_ptr<HttpClient> Borrow();
  void Return(std::unique_ptr<HttpClient> http);

  const S3Options options_;
  const S3Endpoint endpoint_;
  const S3Context context_;
  CredentialsChain credentials_;

  std::atomic<bool> trouble_told_ = false;  // since the last answer that was good
  Mutex mutex_;
  // Not in use; each has its connection. As many as there were requests at once.
  std::vector<std::unique_ptr<HttpClient>> idle_ HF_GUARDED_BY(mutex_);
};

// The server's clock by its Date header; nothing if there is none.
std::optional<absl::Time> DateOf(const HttpResponse& answer);

}  // namespace holdfast
