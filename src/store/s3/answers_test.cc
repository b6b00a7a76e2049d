#include "store/s3/answers.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(S3Answers, AListingIsReadWithItsKeysDecoded) {
  const auto page = ParseListObjects(
      R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType>
<IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
<Contents><Key>my+folder%2Fa%2Bb%26c</Key><LastModified>2025-07-22T10:02:03.000Z</LastModified><ETag>&quot;x&quot;</ETag>
<Size>5988384</Size><StorageClass>STANDARD</StorageClass></Contents>
<CommonPrefixes><Prefix>my+folder%2F.metadata%2F</Prefix></CommonPrefixes></ListBucketResult>)");
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->objects[0].key, "my folder/a+b&c");
  EXPECT_EQ(page->objects[0].bytes, 5988384u);
  EXPECT_EQ(FormatRfc3339Utc(page->objects[0].modified_at), "2025-07-22T10:02:03Z");
  EXPECT_EQ(page->next_token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");
}

TEST(S3Answers, KeysAreTakenAsTheyAreIfTheServerKnowsNoEncoding) {
  const auto page = ParseListObjects(
      "<ListBucketResult><Contents><Key>a+b%20&amp;</Key><Size>0</Size>"
      "<LastModified>2025-07-22T10:02:03Z</LastModified></Contents></ListBucketResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->objects[0].key, "a+b%20&");
  EXPECT_EQ(page->next_token, "");
}

TEST(S3Answers, WhatIsNoListingIsAnErrorAndNotAnEmptyList) {
  for (const char* bad :
       {"", "<", "<html><body>Welcome</body></html>", "<ListBucketResult>", "{}",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>1</Size><LastModified>now</LastModified>"
        "</Contents></ListBucketResult>"})
    EXPECT_FALSE(ParseListObjects(bad).ok()) << bad;
}

TEST(S3Answers, HostileXmlIsOnlyText) {
  // Entities of a document's own are not followed.
  const auto error = ParseS3Error(
      "<!DOCTYPE Error [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">"
      "<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Error><Code>&b;&f;</Code></Error>");
  EXPECT_EQ(error.value_or(S3Error()).code.find("root"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseS3Error(deep).has_value());
  EXPECT_FALSE(ParseListObjects("<ListBucketResult>" + deep + "</ListBucketResult>").ok());
}

TEST(S3Answers, AnErrorIsOneLineOfBoundedLength) {
  const auto error =
      ParseS3Error("<Error><Code>Slow\nDown</Code><Message>" + std::string(5000, 'm') +
                   "</Message><Region>eu-west-1</Region></Error>");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "Slow Down");
  EXPECT_EQ(error->message, std::string(300, 'm'));
  EXPECT_EQ(error->region, "eu-west-1");
  EXPECT_FALSE(ParseS3Error("<Errors><Code>x</Code></Errors>").has_value());
}

TEST(S3Answers, UploadsAreListedPageByPage) {
  const auto page = ParseListUploads(
      "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>a%2Fb</NextKeyMarker><NextUploadIdMarker>7</NextUploadIdMarker>"
      "<Upload><Key>a%2Fb</Key><UploadId>7</UploadId></Upload></ListMultipartUploadsResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->uploads.at(0).key, "a/b");
  EXPECT_EQ(page->uploads.at(0).id, "7");
  EXPECT_EQ(page->next_key, "a/b");
  EXPECT_EQ(page->next_id, "7");
  EXPECT_FALSE(ParseListUploads("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload>"
                                "</ListMultipartUploadsResult>")
                   .ok());
}

TEST(S3Answers, ACompletionNamesThePartsInOrder) {
  EXPECT_EQ(WriteCompletion({"aa", "bb"}),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"aa\"</ETag></Part>"
            "<Part><PartNumber>2</PartNumber><ETag>\"bb\"</ETag></Part></CompleteMultipartUpload>");
}

TEST(S3Answers, AnAssumedRoleIsReadAndNeverHalf) {
  const std::string good =
      "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S"
      "</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2025-07-22T10:02:03Z</"
      "Expiration>"
      "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
  const auto credentials = ParseAssumedRole(good);
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->access_key, "A");
  EXPECT_EQ(credentials->secret_key.reveal(), "S");
  EXPECT_EQ(credentials->session_token.reveal(), "T");
  EXPECT_EQ(FormatRfc3339Utc(credentials->expires_at), "2025-07-22T10:02:03Z");
  for (const char* name : {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}) {
    std::string without = good;
    without.replace(without.find(name), 1, "X");
    EXPECT_FALSE(ParseAssumedRole(without).ok()) << name;
  }
}

}  // namespace
}  // namespace holdfast
