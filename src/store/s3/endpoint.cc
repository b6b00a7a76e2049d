#include "store/s3/endpoint.h"

#include <algorithm>

#include "base/path.h"
#include "base/text.h"
#include "keys/base64.h"
#include "keys/pki.h"
#include "store/s3/sigv4.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kCaBytesMax = 1 * kMiB;

// host[:port], an IPv6 address in brackets.
Status CheckEndpoint(const std::string& endpoint) {
  if (endpoint.find("://") != std::string::npos) {
    return WithHint(InvalidArgumentError("s3 endpoint \"{}\" must not have a scheme", endpoint),
                    "Give host[:port] alone; etcd-s3-insecure selects http.");
  }
  if (endpoint.find('/') != std::string::npos) {
    return WithHint(InvalidArgumentError("s3 endpoint \"{}\" must not have a path", endpoint),
                    "Give host[:port] alone; the bucket and folder have settings of their own.");
  }
  const bool odd = std::any_of(endpoint.begin(), endpoint.end(), [](unsigned char c) {
    return c <= ' ' || c >= 0x7f ||
           std::string_view("@?#%\\\"<>").find(static_cast<char>(c)) != std::string_view::npos;
  });
  const auto bracket = endpoint.rfind(']');
  const auto colon = endpoint.find(':', bracket == std::string::npos ? 0 : bracket);
  const bool port_fits = [&] {
    if (colon == std::string::npos) return true;
    const auto port = ParseUint(std::string_view(endpoint).substr(colon + 1));
    return port && *port >= 1 && *port <= 65535;
  }();
  if (odd || colon == 0 || !port_fits)
    return InvalidArgumentError("s3 endpoint \"{}\" is not host[:port]", endpoint);
  return OkStatus();
}

Status CheckBucket(const std::string& bucket) {
  if (bucket.empty()) return InvalidArgumentError("s3 bucket name was not set");
  // Wider than today's rules: old buckets and other providers' may have capitals and underscores.
  const bool fits = std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
  if (fits && bucket != "." && bucket != "..") return OkStatus();
  return InvalidArgumentError("\"{}\" cannot be the name of an s3 bucket", bucket);
}

std::string WithoutPort(const std::string& endpoint) {
  const auto colon = endpoint.rfind(':');
  const auto bracket = endpoint.rfind(']');
  if (colon == std::string::npos || (bracket != std::string::npos && colon < bracket))
    return endpoint;
  return endpoint.substr(0, colon);
}

bool IsAmazon(const std::string& host) {
  return host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
}

bool BucketInHost(const S3Options& options, const std::string& host) {
  switch (options.lookup) {
    case BucketLookup::kDns:
      return true;
    case BucketLookup::kPath:
      return false;
    case BucketLookup::kAuto:
      break;
  }
  if (host.find("aliyun") != std::string::npos) return true;
  // No wildcard certificate covers "a.b.s3.amazonaws.com".
  if (!options.insecure && options.bucket.find('.') != std::string::npos) return false;
  return IsAmazon(host) || host == "storage.googleapis.com";
}

StatusOr<std::string> ReadCa(const std::string& setting, FileSystem& fs) {
  std::string all;
  for (const std::string& item : Split(setting, ' ')) {
    if (item.empty()) continue;
    std::string pem;
    if (auto decoded = Base64Decode(item);
        decoded && decoded->find("-----BEGIN") != std::string::npos) {
      pem = *std::move(decoded);
    } else if (auto file = ReadFile(fs, item, kCaBytesMax); file.ok()) {
      pem = *std::move(file);
    } else {
      return InvalidArgumentError(
          "s3 endpoint CA: \"{:.80}\" is neither a file that can be read nor base64 of PEM", item);
    }
    RETURN_IF_ERROR(CaHash(pem).status(), "s3 endpoint CA \"{:.80}\"", item);
    all += pem + "\n";
  }
  return all;
}

StatusOr<std::optional<std::string>> ReadProxy(const std::string& setting) {
  if (setting.empty()) return std::optional<std::string>();
  if (setting == "none") return std::optional<std::string>("");
  const auto scheme = setting.find("://");
  // The text may hold a password: it is not repeated.
  if (scheme == std::string::npos || scheme == 0 || scheme + 3 == setting.size() ||
      setting[scheme + 3] == '/')
    return InvalidArgumentError("s3 proxy: proxy URL must include scheme and host");
  return std::optional<std::string>(setting);
}

}  // namespace

std::string S3Endpoint::PathOf(const std::string& key) const {
  return path_prefix + "/" + EscapePath(key);
}

std::string S3Prefix(const std::string& folder) {
  const std::string clean = AbsolutePath(Trim(folder), "/").substr(1);
  return clean.empty() ? "" : clean + "/";
}

StatusOr<S3Endpoint> MakeS3Endpoint(const S3Options& options, FileSystem& fs) {
  RETURN_IF_ERROR(CheckBucket(options.bucket));
  const std::string setting = options.endpoint.empty() ? kS3EndpointDefault : options.endpoint;
  RETURN_IF_ERROR(CheckEndpoint(setting));
  S3Endpoint out{.scheme = options.insecure ? "http" : "https",
                 .region = options.region.empty() ? kS3RegionDefault : options.region};
  out.host = ToLower(setting);
  // libcurl leaves a scheme's own port out of the Host header, which is signed.
  if (out.host == WithoutPort(out.host) + (options.insecure ? ":80" : ":443"))
    out.host = WithoutPort(out.host);
  const std::string name = WithoutPort(out.host);
  // The global name knows only buckets of us-east-1 and, by redirects, others.
  if (out.host == kS3EndpointDefault && out.region != kS3RegionDefault) {
    out.host = fmt::format("s3.{}.amazonaws.com{}", out.region,
                           out.region.starts_with("cn-") ? ".cn" : "");
  }
  if (BucketInHost(options, name)) {
    out.host = options.bucket + "." + out.host;
  } else {
    out.path_prefix = "/" + options.bucket;
  }
  if (!options.skip_ssl_verify) {
    ASSIGN_OR_RETURN(out.ca_pem, ReadCa(options.endpoint_ca, fs));
  }
  ASSIGN_OR_RETURN(out.proxy, ReadProxy(options.proxy));
  return out;
}

}  // namespace holdfast
