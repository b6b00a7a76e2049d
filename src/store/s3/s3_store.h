// A folder of an S3 bucket as an ObjectStore: the snapshot is <folder>/<name>, its metadata <folder>/.metadata/<name>, where
// RKE2 keeps them. Attributes become user metadata (x-amz-meta-<prefix>-<Attribute>); metadata carry those of their object.
//
// Another folder whose name begins alike ("prod-2" beside "prod") is not this folder. Memory is bounded at 128 MiB whatever
// the object's size. What may pass (network, 5xx, throttling) is tried again with back-off until nothing moved for
// S3Options::timeout. A crash leaves at most an unfinished multipart upload, which no listing shows; RemoveUnfinished aborts
// it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "os/file_system.h"
#include "store/object_store.h"
#include "store/s3/s3_options.h"
#include "wire/http_client.h"

namespace holdfast {

struct S3Context {
  FileSystem& fs;  // for CA files, shared credentials and token files
  Clock& clock;
  Random& random;
  // A variable of the environment: AWS_…, HOME, proxies.
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::function<std::unique_ptr<HttpClient>()> make_http = MakeHttpClient;
  // Ends every request, wait and retry of what is opened with this: kCancelled, within about a second. Only an upload that
  // was begun is still aborted then, in ten seconds at most.
  std::stop_token stop = {};
};

// Credentials are looked for, and the bucket must be there: it is never created.
// kInvalidArgument: a setting that cannot be ("s3 bucket name was not set", an endpoint with a scheme, an unusable CA).
// kNotFound: "bucket X does not exist". Others begin "failed to test for existence of bucket X: ...".
// Everything in `context` must outlive the store.
StatusOr<std::unique_ptr<ObjectStore>> OpenS3Store(const S3Options& options,
                                                   const S3Context& context);

// One thing that the settings will need, tried with a small object in the folder that is removed again.
struct S3CheckStep {
  std::string what;    // "put an object"
  std::string needs;   // "s3:PutObject on arn:aws:s3:::bucket/folder/*"
  Status status;       // OK, or what the server said
  std::string detail;  // "clock differs by 3s", "in 12ms"
};
// In order; goes on after a failure where that makes sense.
std::vector<S3CheckStep> CheckS3(const S3Options& options, const S3Context& context);

}  // namespace holdfast
