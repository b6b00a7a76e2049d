#include "store/s3/endpoint.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "keys/base64.h"
#include "keys/pki.h"
#include "testing/memory_fs.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class EndpointTest : public ::testing::Test {
 protected:
  StatusOr<S3Endpoint> Make(S3Options options) {
    if (options.bucket.empty()) options.bucket = "bkt";
    return MakeS3Endpoint(options, fs_);
  }
  std::string Url(const S3Options& options) {
    const auto endpoint = Make(options);
    if (!endpoint.ok()) return MessageOf(endpoint.status());
    return endpoint->scheme + "://" + endpoint->host + endpoint->PathOf("k");
  }
  testing::MemoryFs fs_;
};

TEST_F(EndpointTest, TheBucketIsInTheHostOfTheBigProvidersAndInThePathOfOthers) {
  EXPECT_EQ(Url({}), "https://bkt.s3.amazonaws.com/k");
  EXPECT_EQ(Url({.region = "eu-west-1"}), "https://bkt.s3.eu-west-1.amazonaws.com/k");
  EXPECT_EQ(Url({.region = "cn-north-1"}), "https://bkt.s3.cn-north-1.amazonaws.com.cn/k");
  EXPECT_EQ(Url({.endpoint = "storage.googleapis.com"}), "https://bkt.storage.googleapis.com/k");
  EXPECT_EQ(Url({.endpoint = "oss-cn-hangzhou.aliyuncs.com", .bucket = "a.b"}),
            "https://a.b.oss-cn-hangzhou.aliyuncs.com/k");
  EXPECT_EQ(Url({.endpoint = "minio:9000"}), "https://minio:9000/bkt/k");
  EXPECT_EQ(Url({.endpoint = "[::1]:9000", .insecure = true}), "http://[::1]:9000/bkt/k");
  // No certificate covers two labels.
  EXPECT_EQ(Url({.bucket = "a.b"}), "https://s3.amazonaws.com/a.b/k");
  EXPECT_EQ(Url({.insecure = true, .bucket = "a.b"}), "http://a.b.s3.amazonaws.com/k");
}

TEST_F(EndpointTest, TheLookupCanBeSaid) {
  EXPECT_EQ(Url({.endpoint = "minio", .lookup = BucketLookup::kDns}), "https://bkt.minio/k");
  EXPECT_EQ(Url({.lookup = BucketLookup::kPath}), "https://s3.amazonaws.com/bkt/k");
}

TEST_F(EndpointTest, ASchemesOwnPortIsLeftOutAsInTheHostHeader) {
  EXPECT_EQ(Url({.endpoint = "minio:443"}), "https://minio/bkt/k");
  EXPECT_EQ(Url({.endpoint = "minio:80", .insecure = true}), "http://minio/bkt/k");
  EXPECT_EQ(Url({.endpoint = "minio:80"}), "https://minio:80/bkt/k");
}

TEST_F(EndpointTest, WhatCannotBeIsSaid) {
  EXPECT_EQ(MessageOf(MakeS3Endpoint({}, fs_).status()), "s3 bucket name was not set");
  EXPECT_THAT(Url({.endpoint = "https://minio"}), HasSubstr("must not have a scheme"));
  EXPECT_THAT(Url({.endpoint = "minio/x"}), HasSubstr("must not have a path"));
  for (const char* bad :
       {"a b", "user@minio", "minio:", "minio:0", "minio:99999", ":9000", "m?x", "m\n"})
    EXPECT_THAT(Url({.endpoint = bad}), HasSubstr("is not host[:port]")) << bad;
  for (const char* bad : {"a/b", "..", "a b", "a?b"})
    EXPECT_THAT(Url({.bucket = bad}), HasSubstr("cannot be the name")) << bad;
}

TEST_F(EndpointTest, AFolderIsAlwaysWhole) {
  EXPECT_EQ(S3Prefix(""), "");
  EXPECT_EQ(S3Prefix("/"), "");
  EXPECT_EQ(S3Prefix("prod"), "prod/");
  EXPECT_EQ(S3Prefix("/a//b/"), "a/b/");
  EXPECT_EQ(S3Prefix("../a"), "a/");
}

TEST_F(EndpointTest, AProxyIsAUrlOrNoneAndItsPasswordIsNotRepeated) {
  EXPECT_EQ(Make({})->proxy, std::nullopt);
  EXPECT_EQ(Make({.proxy = "none"})->proxy, "");
  EXPECT_EQ(Make({.proxy = "http://u:p@proxy:3128"})->proxy, "http://u:p@proxy:3128");
  for (const char* bad : {"proxy:3128", "user:word@proxy", "://x", "http://", "http:///x"})
    EXPECT_EQ(MessageOf(Make({.proxy = bad}).status()),
              "s3 proxy: proxy URL must include scheme and host");
}

TEST_F(EndpointTest, ACaIsAFileOrBase64AndMustHoldACertificate) {
  const auto ca = [](const char* name) {
    return MakeCa({.common_name = name, .now = absl::FromUnixSeconds(1'700'000'000)})
        ->certificate_pem;
  };
  const std::string one = ca("one"), two = ca("two");
  auto file = fs_.Create("/ca.pem", 0600).value();
  ASSERT_TRUE(file->WriteAt(0, BytesOf(one)).ok());
  ASSERT_TRUE(fs_.Create("/empty.pem", 0600).ok());
  const auto both = Make({.endpoint_ca = "/ca.pem  " + Base64Encode(BytesOf(two))});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_THAT(both->ca_pem, HasSubstr(one));
  EXPECT_THAT(both->ca_pem, HasSubstr(two));
  for (const std::string bad : {"/none.pem", "/empty.pem", "bm90IHBlbQ==", "???"})
    EXPECT_EQ(Make({.endpoint_ca = bad}).status().code(), StatusCode::kInvalidArgument) << bad;
  // Not looked at if nothing is verified.
  EXPECT_TRUE(Make({.endpoint_ca = "/none.pem", .skip_ssl_verify = true}).ok());
}

}  // namespace
}  // namespace holdfast
