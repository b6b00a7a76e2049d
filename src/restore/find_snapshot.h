// Which file does a person mean who names a snapshot?
#pragma once

#include <string>

#include "os/file_system.h"

namespace holdfast {

// `given` is absolute, "file:///...", relative to `working_directory`, or, if it has no slash, a name in
// `snapshot_directory` (looked for first) or in `working_directory`; kInvalidArgument if both are there and differ.
// Returns the absolute path of a regular file; kNotFound with a hint otherwise.
StatusOr<std::string> FindSnapshot(FileSystem& fs, const std::string& given,
                                   const std::string& snapshot_directory,
                                   const std::string& working_directory);

// "s3://BUCKET/FOLDER/NAME", taken apart.
struct S3Name {
  std::string bucket, folder, name;
};
bool IsS3Name(const std::string& given);
// kInvalidArgument if it is none.
StatusOr<S3Name> ParseS3Name(const std::string& given);

// Reads both to their ends, or to the first difference.
StatusOr<bool> SameContent(const RandomAccess& a, const RandomAccess& b);

}  // namespace holdfast
