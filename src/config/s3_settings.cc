#include "config/s3_settings.h"

#include <limits>

#include "base/path.h"
#include "base/text.h"

namespace holdfast {
namespace {

// "500k", "20M", "1G", "1000000": bytes, by powers of 1000.
std::optional<std::uint64_t> ParseByteCount(std::string_view text) {
  std::uint64_t unit = 1;
  switch (text.empty() ? '0' : text.back()) {
    case 'k':
    case 'K':
      unit = 1'000;
      break;
    case 'M':
      unit = 1'000'000;
      break;
    case 'G':
      unit = 1'000'000'000;
      break;
    default:
      break;
  }
  if (unit > 1) text.remove_suffix(1);
  const auto count = ParseUint(text);
  // libcurl's speeds are signed.
  if (!count || *count > std::numeric_limits<std::int64_t>::max() / unit) return std::nullopt;
  return *count * unit;
}

// A list of files and base64 texts, with spaces between them. Only a path has a dot: base64 has none.
std::string CaList(const std::vector<std::string>& items, const std::string& working_directory) {
  std::string out;
  for (const std::string& item : items) {
    for (const std::string& part : Split(item, ' ')) {
      if (part.empty()) continue;
      if (!out.empty()) out += ' ';
      out += part.find('.') == std::string::npos ? part : AbsolutePath(part, working_directory);
    }
  }
  return out;
}

Status ReadPlace(const Settings& s, S3Options& o) {
  o.endpoint = s.Text("etcd-s3-endpoint");
  if (o.endpoint.empty()) o.endpoint = kS3EndpointDefault;
  if (o.endpoint.find('/') != std::string::npos) {
    return s.Invalid("etcd-s3-endpoint",
                     fmt::format("\"{}\" is not HOST or HOST:PORT: it must have neither scheme nor "
                                 "path (plain HTTP is chosen with --etcd-s3-insecure)",
                                 o.endpoint));
  }
  o.bucket = s.Text("etcd-s3-bucket");
  o.folder = s.Text("etcd-s3-folder");
  o.region = s.Text("etcd-s3-region");
  if (o.region.empty()) o.region = kS3RegionDefault;
  const std::string lookup = s.Text("etcd-s3-bucket-lookup-type");
  const auto parsed = ParseBucketLookup(lookup);
  if (!parsed) {
    return s.Invalid("etcd-s3-bucket-lookup-type",
                     fmt::format("\"{}\" is not one of auto, dns, path", lookup));
  }
  o.lookup = *parsed;
  return OkStatus();
}

void ReadCredentials(const Settings& s, S3Options& o) {
  o.access_key = s.Text("etcd-s3-access-key");
  o.secret_key = s.SecretText("etcd-s3-secret-key");
  // A token belongs to the key it came with: one that AWS's tools have left in the environment is not for a key from
  // elsewhere.
  const bool foreign_token = s.Where("etcd-s3-session-token") == "AWS_SESSION_TOKEN" &&
                             s.IsSet("etcd-s3-access-key") &&
                             s.Where("etcd-s3-access-key") != "AWS_ACCESS_KEY_ID";
  if (!foreign_token) o.session_token = s.SecretText("etcd-s3-session-token");
}

Status ReadTransport(const Settings& s, S3Options& o) {
  ASSIGN_OR_RETURN(o.skip_ssl_verify, s.Bool("etcd-s3-skip-ssl-verify"));
  ASSIGN_OR_RETURN(o.insecure, s.Bool("etcd-s3-insecure"));
  o.proxy = s.Text("etcd-s3-proxy");
  if (!o.proxy.empty() && o.proxy != "none" && o.proxy.find("://") == std::string::npos)
    return s.Invalid("etcd-s3-proxy", "proxy URL must include scheme and host");
  ASSIGN_OR_RETURN(o.timeout, s.Duration("etcd-s3-timeout"));
  if (o.timeout <= absl::ZeroDuration())
    return s.Invalid("etcd-s3-timeout", "etcd-s3-timeout must be greater than 0s");
  if (const std::string limit = s.Text("etcd-s3-bandwidth-limit"); !limit.empty()) {
    const auto bytes = ParseByteCount(limit);
    if (!bytes)
      return s.Invalid("etcd-s3-bandwidth-limit",
                       fmt::format("\"{}\" is not a number of bytes, as 500k, 20M or 1G", limit));
    o.bytes_per_second_max = *bytes;
  }
  return OkStatus();
}

Status ReadWriting(const Settings& s, S3Settings& out) {
  S3Options& o = out.options;
  o.server_side_encryption = s.Text("etcd-s3-sse");
  if (!o.server_side_encryption.empty() && o.server_side_encryption != "AES256" &&
      o.server_side_encryption != "aws:kms") {
    return s.Invalid("etcd-s3-sse",
                     fmt::format("\"{}\" is neither AES256 nor aws:kms", o.server_side_encryption));
  }
  o.kms_key_id = s.Text("etcd-s3-sse-kms-key-id");
  if (!o.kms_key_id.empty() && o.server_side_encryption != "aws:kms")
    return s.Invalid("etcd-s3-sse-kms-key-id", "it needs --etcd-s3-sse=aws:kms");
  o.storage_class = s.Text("etcd-s3-storage-class");
  ASSIGN_OR_RETURN(out.retention, s.Integer("etcd-s3-retention"));
  out.retention_was_set = s.IsSet("etcd-s3-retention");
  const char* local = s.command() == kServer ? "etcd-snapshot-retention" : "snapshot-retention";
  if (!out.retention_was_set && s.command() != kS3Check && s.IsSet(local)) {
    ASSIGN_OR_RETURN(out.retention, s.Integer(local));
  }
  return OkStatus();
}

}  // namespace

StatusOr<S3Settings> ReadS3Settings(const Settings& settings, const Distribution& distribution,
                                    const std::string& working_directory) {
  S3Settings out;
  if (settings.IsSet("etcd-s3")) {
    ASSIGN_OR_RETURN(out.on, settings.Bool("etcd-s3"));
  }
  if (settings.command() == kS3Check) out.on = true;
  RETURN_IF_ERROR(ReadPlace(settings, out.options));
  out.options.endpoint_ca = CaList(settings.List("etcd-s3-endpoint-ca"), working_directory);
  ReadCredentials(settings, out.options);
  RETURN_IF_ERROR(ReadTransport(settings, out.options));
  if (FindFlag(settings.command(), "etcd-s3-sse") != nullptr)
    RETURN_IF_ERROR(ReadWriting(settings, out));
  out.options.header_prefix = distribution.s3_header_prefix;
  if (out.on.value_or(false) && out.options.bucket.empty())
    return WithHint(settings.Invalid("etcd-s3", "s3 bucket name was not set"),
                    "Give it with --etcd-s3-bucket.");
  if (!out.on && settings.Where("etcd-s3-bucket").starts_with("-"))
    return settings.Invalid("etcd-s3-bucket", "it has no effect without --etcd-s3");
  return out;
}

}  // namespace holdfast
