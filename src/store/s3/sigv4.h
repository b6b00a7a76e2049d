// AWS Signature Version 4 for S3, as a pure function: nothing is read but its arguments.
// Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
//
// What is signed must be what is sent, so URL and signature are written by the same functions: EscapePath() and QueryText().
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/checksum.h"
#include "base/redacted.h"

namespace holdfast {

struct S3Credentials {
  std::string access_key;  // empty: anonymous, requests are not signed
  Secret secret_key, session_token;
  absl::Time expires_at = absl::InfiniteFuture();
};

// Percent-encodes all but A-Z a-z 0-9 - . _ ~ and, in a path, the slash; hexadecimal digits are capitals.
std::string EscapePath(std::string_view text);
std::string EscapeQuery(std::string_view text);
// The reverse, as keys come in listings: "+" is a blank. What is no encoding stays.
std::string Unescape(std::string_view text);

// Names and values as they are meant, not escaped; sorted, as the signature wants them.
using S3Query = std::map<std::string, std::string>;
// "list-type=2&prefix=a%2F"; a name without a value gets its "=" too.
std::string QueryText(const S3Query& query);

// The payload hash of an empty body.
inline constexpr char kEmptySha256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct S3Signable {
  std::string method;
  std::string host;  // as the Host header will say it
  std::string path;  // escaped
  S3Query query;
  std::map<std::string, std::string> headers;  // to be signed besides Host; names in lower case
  std::string payload_sha256;                  // in hex
};

// The headers to send besides Host: those given, x-amz-date, x-amz-content-sha256, x-amz-security-token if there is one, and
// authorization.
std::map<std::string, std::string> SignedHeaders(const S3Signable& request,
                                                 const S3Credentials& credentials,
                                                 const std::string& region, absl::Time now);

}  // namespace holdfast
