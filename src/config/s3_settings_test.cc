#include "config/s3_settings.h"

#include <gtest/gtest.h>

#include "config/arguments.h"

namespace holdfast {
namespace {

StatusOr<S3Settings> Read(std::vector<std::string> words) {
  const CommandLine line = ParseArguments(words).value();
  Settings settings(line.command);
  for (const auto& use : line.flags) settings.Set(*use.flag, {use.value, use.written});
  return ReadS3Settings(settings, Distributions()[1], "/home/me");
}
std::string Error(std::vector<std::string> words) {
  words.insert(words.begin(), {"server", "--etcd-s3", "--etcd-s3-bucket=b"});
  return MessageOf(Read(std::move(words)).status());
}

TEST(S3Settings, DefaultsAreRke2s) {
  const S3Settings s = Read({"server"}).value();
  EXPECT_FALSE(s.on.has_value());
  EXPECT_EQ(s.options.endpoint, "s3.amazonaws.com");
  EXPECT_EQ(s.options.region, "us-east-1");
  EXPECT_EQ(s.options.lookup, BucketLookup::kAuto);
  EXPECT_EQ(s.options.timeout, absl::Minutes(5));
  EXPECT_EQ(s.options.header_prefix, "Rke2");
  EXPECT_EQ(s.retention, 5);
  EXPECT_FALSE(Read({"server", "--etcd-s3=false"})->on.value());
}

TEST(S3Settings, EveryFlagArrivesUnderBothNames) {
  for (const std::string prefix : {"--etcd-s3", "--s3"}) {
    const S3Settings s = Read({"etcd-snapshot",
                               "save",
                               prefix,
                               prefix + "-endpoint=h:9000",
                               prefix + "-endpoint-ca=ca.pem /etc/x.pem",
                               prefix + "-endpoint-ca=LS0tLS1",
                               prefix + "-skip-ssl-verify",
                               prefix + "-insecure",
                               prefix + "-access-key=A",
                               prefix + "-secret-key=S",
                               prefix + "-session-token=T",
                               prefix + "-bucket=b",
                               prefix + "-bucket-lookup-type=dns",
                               prefix + "-region=r",
                               prefix + "-folder=f/g",
                               prefix + "-proxy=http://p:1",
                               prefix + "-timeout=30s",
                               prefix + "-retention=3",
                               prefix + "-bandwidth-limit=20M",
                               prefix + "-sse=aws:kms",
                               prefix + "-sse-kms-key-id=k",
                               prefix + "-storage-class=STANDARD_IA"})
                             .value();
    const S3Options& o = s.options;
    EXPECT_TRUE(s.on.value());
    EXPECT_EQ(o.endpoint, "h:9000");
    EXPECT_EQ(o.endpoint_ca, "/home/me/ca.pem /etc/x.pem LS0tLS1");
    EXPECT_TRUE(o.skip_ssl_verify && o.insecure);
    EXPECT_EQ(o.access_key + o.secret_key.reveal() + o.session_token.reveal(), "AST");
    EXPECT_EQ(o.bucket + o.region + o.folder, "brf/g");
    EXPECT_EQ(o.lookup, BucketLookup::kDns);
    EXPECT_EQ(o.proxy, "http://p:1");
    EXPECT_EQ(o.timeout, absl::Seconds(30));
    EXPECT_EQ(o.bytes_per_second_max, 20'000'000u);
    EXPECT_EQ(o.server_side_encryption + o.kms_key_id + o.storage_class, "aws:kmskSTANDARD_IA");
    EXPECT_EQ(s.retention, 3);
    EXPECT_TRUE(s.retention_was_set);
  }
}

TEST(S3Settings, RetentionIsThatOfTheDirectoryIfOnlyThatIsSet) {
  EXPECT_EQ(Read({"server", "--etcd-snapshot-retention=9"})->retention, 9);
  EXPECT_EQ(Read({"server", "--etcd-snapshot-retention=9", "--etcd-s3-retention=2"})->retention, 2);
  const S3Settings prune = Read({"etcd-snapshot", "prune", "--snapshot-retention=9"}).value();
  EXPECT_EQ(prune.retention, 9);
  EXPECT_FALSE(prune.retention_was_set);
}

TEST(S3Settings, WhatCannotBeIsRefused) {
  EXPECT_EQ(MessageOf(Read({"server", "--etcd-s3"}).status()),
            "invalid etcd-s3: s3 bucket name was not set");
  EXPECT_EQ(MessageOf(Read({"etcd-snapshot", "s3-check"}).status()),
            "invalid etcd-s3: s3 bucket name was not set");
  EXPECT_EQ(Error({"--etcd-s3-timeout=0s"}),
            "invalid etcd-s3-timeout: etcd-s3-timeout must be greater than 0s");
  EXPECT_NE(Error({"--etcd-s3-endpoint=https://h"}).find("neither scheme nor path"),
            std::string::npos);
  EXPECT_EQ(Error({"--etcd-s3-proxy=h:1"}),
            "invalid etcd-s3-proxy: proxy URL must include scheme and host");
  EXPECT_EQ(Error({"--etcd-s3-proxy=none"}), "");
  EXPECT_EQ(Error({"--etcd-s3-bucket-lookup-type=x"}),
            "invalid etcd-s3-bucket-lookup-type: \"x\" is not one of auto, dns, path");
  EXPECT_EQ(Error({"--etcd-s3-sse=yes"}),
            "invalid etcd-s3-sse: \"yes\" is neither AES256 nor aws:kms");
  EXPECT_EQ(Error({"--etcd-s3-sse=AES256", "--etcd-s3-sse-kms-key-id=k"}),
            "invalid etcd-s3-sse-kms-key-id: it needs --etcd-s3-sse=aws:kms");
  for (const char* bad : {"1T", "x", "-1", "99999999999G", "k", "9223372036854775808"})
    EXPECT_NE(Error({std::string("--etcd-s3-bandwidth-limit=") + bad}), "") << bad;
  EXPECT_EQ(MessageOf(Read({"etcd-snapshot", "ls", "--s3-bucket=b"}).status()),
            "invalid etcd-s3-bucket (--s3-bucket): it has no effect without --etcd-s3");
}

TEST(S3Settings, ASessionTokenFromTheEnvironmentStaysWithItsKey) {
  Settings settings(kServer);
  const auto set = [&](const char* name, const char* value, const char* where) {
    settings.Set(*FindFlag(kServer, name), {value, where});
  };
  set("etcd-s3-access-key", "A", "AWS_ACCESS_KEY_ID");
  set("etcd-s3-session-token", "T", "AWS_SESSION_TOKEN");
  EXPECT_EQ(ReadS3Settings(settings, Distributions()[0], "/")->options.session_token.reveal(), "T");
  set("etcd-s3-access-key", "B", "/etc/holdfast/config.yaml:3");
  EXPECT_TRUE(ReadS3Settings(settings, Distributions()[0], "/")->options.session_token.empty());
}

}  // namespace
}  // namespace holdfast
