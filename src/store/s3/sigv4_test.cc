#include "store/s3/sigv4.h"

#include <gmock/gmock.h>

#include "testing/property.h"

namespace holdfast {
namespace {

using ::testing::EndsWith;

// The examples of the Amazon S3 API Reference, "Signature Calculations for the Authorization Header".
const S3Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                             .secret_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
const absl::Time kExampleTime = absl::FromUnixSeconds(1369353600);  // 2013-05-24T00:00:00Z
constexpr char kExampleHost[] = "examplebucket.s3.amazonaws.com";

std::string Authorization(const S3Signable& request) {
  return SignedHeaders(request, kExample, "us-east-1", kExampleTime).at("authorization");
}

TEST(SigV4, GetsAnObjectAsPublished) {
  EXPECT_EQ(Authorization({.method = "GET",
                           .host = kExampleHost,
                           .path = EscapePath("/test.txt"),
                           .headers = {{"range", "bytes=0-9"}},
                           .payload_sha256 = kEmptySha256}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutsAnObjectAsPublished) {
  EXPECT_THAT(
      Authorization({.method = "PUT",
                     .host = kExampleHost,
                     .path = EscapePath("/test$file.text"),
                     .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                     .payload_sha256 = HexOf(Sha256Of(BytesOf("Welcome to Amazon S3.")))}),
      EndsWith("SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
               "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4, ReadsTheLifecycleOfABucketAsPublished) {
  EXPECT_THAT(
      Authorization({.method = "GET",
                     .host = kExampleHost,
                     .path = "/",
                     .query = {{"lifecycle", ""}},
                     .payload_sha256 = kEmptySha256}),
      EndsWith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(SigV4, ListsABucketAsPublished) {
  EXPECT_THAT(
      Authorization({.method = "GET",
                     .host = kExampleHost,
                     .path = "/",
                     .query = {{"prefix", "J"}, {"max-keys", "2"}},
                     .payload_sha256 = kEmptySha256}),
      EndsWith("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SigV4, ASessionTokenIsSentAndSigned) {
  S3Credentials session = kExample;
  session.session_token = Secret("the token");
  const auto headers =
      SignedHeaders({.method = "GET", .host = "h", .path = "/", .payload_sha256 = kEmptySha256},
                    session, "eu-west-1", kExampleTime);
  EXPECT_EQ(headers.at("x-amz-security-token"), "the token");
  EXPECT_THAT(headers.at("authorization"), ::testing::HasSubstr(";x-amz-security-token,"));
  EXPECT_THAT(headers.at("authorization"), ::testing::HasSubstr("/20130524/eu-west-1/s3/"));
}

TEST(Escape, KeepsOnlyWhatS3Keeps) {
  EXPECT_EQ(EscapePath("a b+c=d/ü~._-%&"), "a%20b%2Bc%3Dd/%C3%BC~._-%25%26");
  EXPECT_EQ(EscapeQuery("a/b"), "a%2Fb");
  EXPECT_EQ(QueryText({{"uploads", ""}, {"prefix", "a/b c"}}), "prefix=a%2Fb%20c&uploads=");
  EXPECT_EQ(Unescape("a+b%2Bc%20d%zz%4"), "a b+c d%zz%4");
}

RC_GTEST_PROP(Escape, IsUndoneByUnescape, (const std::string& text)) {
  RC_ASSERT(Unescape(EscapeQuery(text)) == text);
  RC_ASSERT(Unescape(EscapePath(text)) == text);
  RC_ASSERT(
      EscapeQuery(text).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789-._~%") == std::string::npos);
}

}  // namespace
}  // namespace holdfast
