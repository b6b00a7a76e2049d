// S3 as the stories use it: the folder of a bucket, opened with its settings.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "os/file_system.h"
#include "store/object_store.h"
#include "store/s3/s3_options.h"
#include "store/s3/s3_store.h"

namespace holdfast {

// How a store is opened; tests put something else in its place.
using S3Opener = std::function<StatusOr<std::unique_ptr<ObjectStore>>(const S3Options&)>;

// The real one, with this process's environment. All must outlive what it opens. `stop` ends what goes on in the stores it
// opened, whatever it is (S3Context::stop).
S3Opener MakeS3Opener(FileSystem& fs, Clock& clock, Random& random, std::stop_token stop);

struct S3Folder {
  S3Options options;
  std::unique_ptr<ObjectStore> store;
};

// The bucket is there and our credentials are good for it, else "failed to initialize S3 client: ...".
StatusOr<S3Folder> OpenS3(const S3Opener& opener, const S3Options& options);

// What `etcd-snapshot s3-check` tells (store/s3/s3_store.h).
std::vector<S3CheckStep> CheckS3Folder(FileSystem& fs, Clock& clock, Random& random,
                                       const S3Options& options, std::stop_token stop);

}  // namespace holdfast
