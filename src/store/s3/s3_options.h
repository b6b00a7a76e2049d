// What is set about S3. The words are RKE2's --etcd-s3-… flags; docs say what each means.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/redacted.h"

namespace holdfast {

enum class BucketLookup {
  kAuto,  // virtual host for the big providers, path for everybody else
  kDns,   // https://BUCKET.ENDPOINT/KEY
  kPath,  // https://ENDPOINT/BUCKET/KEY
};

inline constexpr std::string_view BucketLookupName(BucketLookup lookup) {
  return lookup == BucketLookup::kDns ? "dns" : lookup == BucketLookup::kPath ? "path" : "auto";
}
// The name of one, or nothing, which is auto.
inline constexpr std::optional<BucketLookup> ParseBucketLookup(std::string_view name) {
  if (name.empty() || name == "auto") return BucketLookup::kAuto;
  if (name == "dns") return BucketLookup::kDns;
  if (name == "path") return BucketLookup::kPath;
  return std::nullopt;
}

inline constexpr char kS3EndpointDefault[] = "s3.amazonaws.com", kS3RegionDefault[] = "us-east-1";

struct S3Options {
  std::string endpoint = kS3EndpointDefault;  // host[:port]
  // Space-separated; each the path of a PEM file, or base64 of PEM. Empty: the system's.
  std::string endpoint_ca;
  bool skip_ssl_verify = false;
  bool insecure = false;  // http
  std::string access_key;
  Secret secret_key, session_token;
  std::string bucket;
  BucketLookup lookup = BucketLookup::kAuto;
  std::string region = kS3RegionDefault;
  std::string folder;                         // key prefix; slashes at its ends do not matter
  std::string proxy;                          // URL, "none", or empty: the environment's
  absl::Duration timeout = absl::Minutes(5);  // without progress
  std::string server_side_encryption;         // "", "AES256", "aws:kms"
  std::string kms_key_id;
  std::string storage_class;
  std::uint64_t bytes_per_second_max = 0;  // of uploads and downloads; 0: no limit
  // "rke2": user metadata are x-amz-meta-Rke2-Cluster-Id and so on. All distributions' are read.
  std::string header_prefix = "Holdfast";
};

}  // namespace holdfast
