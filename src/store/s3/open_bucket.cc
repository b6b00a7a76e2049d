#include "store/s3/open_bucket.h"

#include "base/log.h"

namespace holdfast {

StatusOr<std::unique_ptr<S3Client>> MakeS3Client(const S3Options& options,
                                                 const S3Context& context) {
  if (options.timeout <= absl::ZeroDuration())
    return InvalidArgumentError("etcd-s3-timeout must be greater than 0s");
  ASSIGN_OR_RETURN(S3Endpoint endpoint, MakeS3Endpoint(options, context.fs));
  if (options.skip_ssl_verify && !options.insecure) {
    LogWarn(
        "s3: the certificate of {} is not checked (etcd-s3-skip-ssl-verify): whoever is on the way "
        "can read and change "
        "snapshots, and use the credentials",
        endpoint.host);
  }
  return std::make_unique<S3Client>(options, std::move(endpoint), context);
}

Status FindBucket(S3Client& client) {
  const std::string& bucket = client.options().bucket;
  const auto head = client.Call({.method = "HEAD"}, client.first_contact());
  if (head.ok()) return OkStatus();
  const auto missing = [&] { return NotFoundError("bucket {} does not exist", bucket); };
  if (absl::IsNotFound(head.status())) return missing();
  Status status = head.status();
  // An answer to HEAD has no room for a reason, and some may list their folder but not HEAD the bucket: ask in another way.
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    const auto list = client.Call({.query = {{"list-type", "2"},
                                             {"max-keys", "1"},
                                             {"prefix", S3Prefix(client.options().folder)}}},
                                  client.first_contact());
    if (list.ok()) return OkStatus();
    if (absl::IsNotFound(list.status())) return missing();
    status = list.status();
  }
  return Annotate(status, fmt::format("failed to test for existence of bucket {}", bucket));
}

}  // namespace holdfast
