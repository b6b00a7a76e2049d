// Which snapshot does a person mean, and here it is as a file: what is in S3 is brought into the snapshot directory.
//
//   NAME                 in the snapshot directory, where the caller stands, or, with S3 on, in the bucket's folder
//   /PATH, file:///PATH  a file
//   s3://BUCKET/KEY      an object; with the settings of S3 that there are, whether S3 is on or not
//
// Of a NAME the one that exists is taken, and which is said. If a file and an object have it, nobody guesses.
// A download has its name only when it is whole; a crash leaves a ".part", which is never listed.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "ops/s3.h"
#include "ops/snapshots.h"

namespace holdfast {

// Work in several steps: "Downloading", "Restoring".
using ProgressFunction =
    std::function<void(std::string_view step, std::uint64_t done, std::uint64_t total)>;

struct FetchRequest {
  std::string given;              // as a person wrote it
  std::string working_directory;  // of the caller
  SnapshotPlace place;            // its directory; `s3` is not used
  bool with_metadata = true;      // a download's go beside it
  bool s3_on = false;
  S3Options s3;
  S3Opener open_s3;
  ProgressFunction on_progress = {};
  std::stop_token stop = {};
};

// Whoever does not need a download, or finds it no good, removes it: RemoveDownload.
struct FetchedSnapshot {
  std::string path;
  bool downloaded = false;  // by this call
};

// kNotFound with what there is instead; kInvalidArgument if the name means two things; kAlreadyExists if another file has
// the name that an s3:// object would get; kDataLoss if a download is not what its manifest says.
StatusOr<FetchedSnapshot> FetchSnapshot(const FetchRequest& request);

// If it was downloaded: the file and its metadata are removed again.
void RemoveDownload(const SnapshotPlace& place, const FetchedSnapshot& fetched);

}  // namespace holdfast
