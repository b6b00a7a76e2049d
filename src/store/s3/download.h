// An object of a bucket as RandomAccess: blocks of 8 MiB by ranged GETs, at most six in memory. Whoever reads in order
// gets the next ones fetched ahead, several at once, by threads of its own ("s3-download-N"). A transfer that breaks off
// goes on where it was. The object is pinned by its ETag: if another takes its place reads fail with kFailedPrecondition.
//
// Over plain http nothing protects the bytes on their way: whoever reads must verify them (a snapshot carries its SHA-256).
#pragma once

#include <memory>
#include <string>

#include "base/random_access.h"
#include "store/s3/client.h"

namespace holdfast {

// kNotFound if there is none. `client` is shared with the store, which may end before.
StatusOr<std::unique_ptr<RandomAccess>> OpenS3Object(std::shared_ptr<S3Client> client,
                                                     const std::string& key);

}  // namespace holdfast
