// Where requests go: the endpoint and bucket of the settings as URLs, the proxy and the CA.
#pragma once

#include <optional>
#include <string>

#include "os/file_system.h"
#include "store/s3/s3_options.h"

namespace holdfast {

struct S3Endpoint {
  std::string scheme;       // "https"
  std::string host;         // of the Host header: with the bucket before it, if it is addressed so
  std::string path_prefix;  // "" or "/<bucket>"
  std::string region;
  std::string ca_pem;                // empty: the system's
  std::optional<std::string> proxy;  // as HttpRequest::proxy

  // `key` as it is meant; empty for the bucket itself.
  std::string PathOf(const std::string& key) const;
};

// kInvalidArgument for a setting that cannot be: no bucket, an endpoint that is a URL, a proxy that is none, a CA without a
// certificate.
StatusOr<S3Endpoint> MakeS3Endpoint(const S3Options& options, FileSystem& fs);

// "a/b/" of " /a//b": what stands before every key; "" for no folder.
std::string S3Prefix(const std::string& folder);

}  // namespace holdfast
