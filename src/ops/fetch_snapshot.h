// Which snapshot does a person mean? Open, to be read where it lies; or as a file: what is in S3 is then brought into the
// snapshot directory.
//
//   NAME                 in the snapshot directory, where the caller stands, or, with S3 on, in the bucket's folder
//   /PATH, file:///PATH  a file
//   s3://BUCKET/KEY      an object; with the settings of S3 that there are, whether S3 is on or not
//
// Of a NAME the one that exists is taken, and which is said. If a file and an object have it, nobody guesses.
// A download has its name only when it is whole; a crash leaves a ".part", which is never listed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "artifact/manifest.h"
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
  bool s3_on = false;
  S3Options s3;
  S3Opener open_s3;
  ProgressFunction on_progress = {};
  std::stop_token stop = {};
};

struct OpenedSnapshot {
  // Its path() is absolute, or s3://BUCKET/KEY. Unproven: an object may have been damaged or replaced.
  std::unique_ptr<RandomAccess> bytes;
  std::optional<Manifest> manifest;
  // Of an object with our manifest: what that says of the database, in hex. For BuildOptions and VerifyOptions.
  std::string expected_sha256 = {};
  bool downloaded = false;  // by FetchSnapshot
};

// kNotFound with what there is instead; kInvalidArgument if the name means two things; kDataLoss if an object is not as long
// as its manifest says.
StatusOr<OpenedSnapshot> OpenSnapshot(const FetchRequest& request);

// As OpenSnapshot, but an object becomes a file, with its metadata beside it. kAlreadyExists if another one has its name.
// Whoever does not need a download, or finds it no good, removes it: RemoveDownload.
StatusOr<OpenedSnapshot> FetchSnapshot(const FetchRequest& request);

// If it was downloaded: the file and its metadata are removed again.
void RemoveDownload(const SnapshotPlace& place, const OpenedSnapshot& fetched);

}  // namespace holdfast
