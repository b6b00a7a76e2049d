// The first contact with a bucket: are the settings possible, does it exist, may we use it.
#pragma once

#include <memory>

#include "store/s3/client.h"

namespace holdfast {

// kInvalidArgument: a setting that cannot be. No request is made.
StatusOr<std::unique_ptr<S3Client>> MakeS3Client(const S3Options& options,
                                                 const S3Context& context);

// As OpenS3Store() says.
Status FindBucket(S3Client& client);

}  // namespace holdfast
