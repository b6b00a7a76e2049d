// CheckS3() of s3_store.h.
#include <algorithm>
#include <functional>

#include "base/text.h"
#include "store/s3/answers.h"
#include "store/s3/client.h"
#include "store/s3/open_bucket.h"
#include "store/s3/s3_store.h"
#include "store/s3/upload.h"

namespace holdfast {
namespace {

// Beyond that S3 refuses requests.
constexpr absl::Duration kSkewMax = absl::Minutes(15);

class Check {
 public:
  Check(S3Client& client, std::vector<S3CheckStep>& steps)
      : client_(client), steps_(steps), prefix_(S3Prefix(client.options().folder)) {
    // Hidden: no listing takes it for a snapshot, should it stay because it cannot be removed.
    const std::string name = ".check-" + client.context().random.Hex(8);
    key_ = prefix_ + name;
    metadata_key_ = prefix_ + ".metadata/" + name;
    bucket_arn_ = "arn:aws:s3:::" + client.options().bucket;
    objects_arn_ = fmt::format("{}/{}*", bucket_arn_, prefix_);
  }

  void Run() {
    Step("find credentials", "any source of credentials", [&](std::string& detail) {
      const Status status = client_.credentials().Get().status();
      detail = client_.credentials().source();
      return status;
    });
    if (!Step("reach the bucket", "s3:ListBucket on " + bucket_arn_,
              [&](std::string&) { return FindBucket(client_); }))
      return;
    Step("agree about the time", "a clock that is set (NTP)",
         [&](std::string& detail) { return CompareClocks(detail); });
    if (Step("put an object", "s3:PutObject on " + objects_arn_, [&](std::string&) {
          ASSIGN_OR_RETURN(const auto headers, Headers());
          return Call({.method = "PUT", .key = key_, .headers = headers, .body = kText}).status();
        })) {
      Step("look at an object", "s3:GetObject on " + objects_arn_,
           [&](std::string&) { return HeadS3Object(client_, key_).status(); });
      Step("get an object", "s3:GetObject on " + objects_arn_, [&](std::string&) { return Get(); });
      Step("list the folder", "s3:ListBucket on " + bucket_arn_,
           [&](std::string&) { return List(); });
      Step("delete an object", "s3:DeleteObject on " + objects_arn_,
           [&](std::string&) { return Call({.method = "DELETE", .key = key_}).status(); });
    }
    RunMetadata();
    RunMultipart();
  }

 private:
  static constexpr char kText[] = "holdfast s3-check";

  // As a snapshot has them: what the settings ask for must be known, and allowed.
  StatusOr<std::map<std::string, std::string>> Headers() const {
    return S3SnapshotHeaders(client_.options(), {{kNodeNameAttribute, "s3-check"}});
  }

  void RunMetadata() {
    if (!Step(
            "put metadata", fmt::format("s3:PutObject on {}/{}.metadata/*", bucket_arn_, prefix_),
            [&](std::string&) {
              ASSIGN_OR_RETURN(const auto headers,
                               S3Headers(client_.options(), {{kNodeNameAttribute, "s3-check"}}));
              return Call(
                         {.method = "PUT", .key = metadata_key_, .headers = headers, .body = kText})
                  .status();
            }))
      return;
    Step("delete metadata",
         fmt::format("s3:DeleteObject on {}/{}.metadata/*", bucket_arn_, prefix_),
         [&](std::string&) { return Call({.method = "DELETE", .key = metadata_key_}).status(); });
  }

  void RunMultipart() {
    std::string id;
    if (!Step("begin an upload in parts", "s3:PutObject on " + objects_arn_,
              [&](std::string&) { return Begin(id); }))
      return;
    Step("list unfinished uploads", "s3:ListBucketMultipartUploads on " + bucket_arn_,
         [&](std::string&) {
           ASSIGN_OR_RETURN(const HttpResponse answer,
                            Call({.query = {{"uploads", ""}, {"prefix", key_}}}));
           return ParseListUploads(answer.body).status();
         });
    Step("abort an upload", "s3:AbortMultipartUpload on " + objects_arn_, [&](std::string&) {
      return Call({.method = "DELETE", .key = key_, .query = {{"uploadId", id}}}).status();
    });
    if (Step("complete an upload in parts", "s3:PutObject on " + objects_arn_,
             [&](std::string&) { return UploadInParts(); })) {
      // best effort: the step before says whether deleting works
      Call({.method = "DELETE", .key = key_}).status().IgnoreError();
    }
  }

  // True if it went well.
  bool Step(std::string what, std::string needs,
            const std::function<Status(std::string& detail)>& act) {
    Clock& clock = client_.context().clock;
    const absl::Duration begun = clock.Steady();
    std::string detail;
    const Status status = act(detail);
    const absl::Duration took = absl::Trunc(clock.Steady() - begun, absl::Milliseconds(1));
    if (detail.empty()) detail = "in " + FormatGoDuration(took);
    steps_.push_back({.what = std::move(what),
                      .needs = std::move(needs),
                      .status = status,
                      .detail = std::move(detail)});
    return status.ok();
  }

  StatusOr<HttpResponse> Call(const S3Request& request) {
    return client_.Call(request, client_.first_contact());
  }

  Status CompareClocks(std::string& detail) {
    ASSIGN_OR_RETURN(const HttpResponse answer,
                     Call({.query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", key_}}}));
    const auto theirs = DateOf(answer);
    if (!theirs) {
      detail = "the server does not say its time";
      return OkStatus();
    }
    const absl::Duration ahead =
        absl::Trunc(client_.context().clock.Now() - *theirs, absl::Seconds(1));
    detail = "clock differs by " + FormatGoDuration(absl::AbsDuration(ahead));
    if (absl::AbsDuration(ahead) <= kSkewMax) return OkStatus();
    return FailedPreconditionError("this host's clock differs by {} from the server's",
                                   FormatGoDuration(absl::AbsDuration(ahead)));
  }

  Status Get() {
    ASSIGN_OR_RETURN(const HttpResponse answer,
                     Call({.key = key_, .headers = {{"range", "bytes=9-"}}}));
    if (answer.code == 206 && answer.body == std::string_view(kText).substr(9)) return OkStatus();
    return DataLossError("other bytes came back than were put (answer {})", answer.code);
  }

  Status List() {
    ASSIGN_OR_RETURN(
        const HttpResponse answer,
        Call({.query = {{"list-type", "2"}, {"prefix", key_}, {"encoding-type", "url"}}}));
    ASSIGN_OR_RETURN(const S3ListPage page, ParseListObjects(answer.body));
    const bool there = std::any_of(page.objects.begin(), page.objects.end(),
                                   [&](const auto& object) { return object.key == key_; });
    if (there) return OkStatus();
    return DataLossError("the object that was put is not listed");
  }

  Status Begin(std::string& id) {
    ASSIGN_OR_RETURN(const auto headers, Headers());
    ASSIGN_OR_RETURN(
        const HttpResponse answer,
        Call({.method = "POST", .key = key_, .query = {{"uploads", ""}}, .headers = headers}));
    ASSIGN_OR_RETURN(id, ParseUploadId(answer.body));
    return OkStatus();
  }

  Status UploadInParts() {
    std::string id;
    RETURN_IF_ERROR(Begin(id));
    const Status completed = Complete(id);
    // best effort: of a hidden name, which nothing looks for later
    if (!completed.ok())
      client_.CleanUp({.method = "DELETE", .key = key_, .query = {{"uploadId", id}}}).IgnoreError();
    return completed;
  }

  Status Complete(const std::string& id) {
    ASSIGN_OR_RETURN(const HttpResponse part,
                     Call({.method = "PUT",
                           .key = key_,
                           .query = {{"partNumber", "1"}, {"uploadId", id}},
                           .body = kText}));
    return Call({.method = "POST",
                 .key = key_,
                 .query = {{"uploadId", id}},
                 .headers = {{"content-type", "application/xml"}},
                 .body = WriteCompletion({BareETag(part.Header("etag"))})})
        .status();
  }

  S3Client& client_;
  std::vector<S3CheckStep>& steps_;
  const std::string prefix_;
  std::string key_, metadata_key_, bucket_arn_, objects_arn_;
};

}  // namespace

std::vector<S3CheckStep> CheckS3(const S3Options& options, const S3Context& context) {
  std::vector<S3CheckStep> steps;
  auto client = MakeS3Client(options, context);
  steps.push_back({.what = "read the settings",
                   .needs = "endpoint, bucket and CA that can be",
                   .status = client.status(),
                   .detail = client.ok() ? (*client)->url() : ""});
  if (client.ok()) Check(**client, steps).Run();
  return steps;
}

}  // namespace holdfast
