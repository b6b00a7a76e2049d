// An object on its way into a bucket.
//
// Up to 16 MiB: one PUT at Commit(). Longer: a multipart upload, whose parts are sent by threads of their own
// ("s3-upload-N") while the next one fills; nothing is visible before Commit(). Each part is signed with its SHA-256, which
// the server verifies, and the MD5 that it answers is compared. Memory: 96 MiB at most. Destroyed without Commit() the
// upload is aborted; what a crash leaves is for RemoveUnfinished().
#pragma once

#include <memory>
#include <string>

#include "store/object_store.h"
#include "store/s3/client.h"

namespace holdfast {

// Largest object: 296 GiB, that is 10,000 parts (S3's limit) that grow from 16 to 48 MiB.
std::uint64_t S3PartBytes(int part_number);
inline constexpr int kS3PartsMax = 10'000;
inline constexpr std::uint64_t kS3ObjectBytesMax =
    (4000 * std::uint64_t{16} + 3000 * 32 + 3000 * 48) * 1024 * 1024;

struct S3UploadOptions {
  std::string key;
  std::map<std::string, std::string> headers;  // of the object
  std::stop_token stop;
};

// What goes with every object that we write, by the settings: whose it is, and how it is encrypted. kInvalidArgument for an
// attribute that fits no header.
StatusOr<std::map<std::string, std::string>> S3Headers(
    const S3Options& options, const std::map<std::string, std::string>& attributes);
// And with a snapshot: its storage class too.
StatusOr<std::map<std::string, std::string>> S3SnapshotHeaders(
    const S3Options& options, const std::map<std::string, std::string>& attributes);
inline constexpr std::string_view kS3UserMetadata = "x-amz-meta-";

// `client` is shared with the store, which may end before.
std::unique_ptr<NewObject> StartS3Upload(std::shared_ptr<S3Client> client,
                                         const S3UploadOptions& options);

// One small object in one request, verified as above.
Status PutS3Object(S3Client& client, const S3UploadOptions& options, std::string_view body);

// What is there under `key`: kNotFound.
StatusOr<HttpResponse> HeadS3Object(S3Client& client, const std::string& key,
                                    std::stop_token stop = {});

}  // namespace holdfast
