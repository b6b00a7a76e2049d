// The S3 flags as values, checked. The same for the server and for the commands.
#pragma once

#include <optional>

#include "base/distribution.h"
#include "config/settings.h"
#include "store/s3/s3_options.h"

namespace holdfast {

struct S3Settings {
  // --etcd-s3; nullopt if it was not set: off in the server, the server's own setting in a command that asks it.
  std::optional<bool> on;
  S3Options options;
  // The newest so many stay in S3. Without a value of its own it is the directory's, if that was set.
  std::int64_t retention = 5;
  bool retention_was_set = false;  // --etcd-s3-retention itself
};

// kInvalidArgument names the flag and the place where it was set. With `on` there is a bucket.
// `working_directory`: what relative paths of CA files are relative to.
StatusOr<S3Settings> ReadS3Settings(const Settings& settings, const Distribution& distribution,
                                    const std::string& working_directory);

}  // namespace holdfast
