// The XML of S3, from text: listings, multipart uploads, errors, and the credentials that STS gives. No I/O.
// Source: Amazon S3 API Reference and AWS STS API Reference. Unknown elements are left alone; what is needed and not there
// is kDataLoss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "store/s3/sigv4.h"

namespace holdfast {

// What the server said instead of doing it.
struct S3Error {
  std::string code;     // "NoSuchKey"
  std::string message;  // cut to a line of bounded length
  std::string region;   // where the bucket is, if the region was wrong
};
// Nothing if `xml` is not an <Error>, whatever it is.
std::optional<S3Error> ParseS3Error(std::string_view xml);

struct S3ListPage {
  struct Object {
    std::string key;
    std::uint64_t bytes = 0;
    absl::Time modified_at;
  };
  std::vector<Object> objects;
  std::string next_token;  // empty: the last page
};
StatusOr<S3ListPage> ParseListObjects(std::string_view xml);

struct S3UploadsPage {
  struct Upload {
    std::string key, id;
    absl::Time begun_at;  // InfiniteFuture() if the server does not say
  };
  std::vector<Upload> uploads;
  std::string next_key, next_id;  // both empty: the last page
};
StatusOr<S3UploadsPage> ParseListUploads(std::string_view xml);

// The id of an upload that was begun.
StatusOr<std::string> ParseUploadId(std::string_view xml);

// `etags` in the order of the parts, the first being part 1.
std::string WriteCompletion(const std::vector<std::string>& etags);

// An ETag without the quotes that it has in headers and XML.
std::string BareETag(std::string_view etag);

StatusOr<S3Credentials> ParseAssumedRole(std::string_view xml);

}  // namespace holdfast
