#include "store/s3/client.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "store/s3/open_bucket.h"
#include "testing/fake_clock.h"
#include "testing/fake_s3.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using testing::FakeS3;
using ::testing::HasSubstr;
using ::testing::Not;

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<S3Client> Make() {
    return MakeS3Client(
               options_,
               {.fs = fs_,
                .clock = clock_,
                .random = SystemRandom(),
                .environment = [this](const std::string& name) -> std::optional<std::string> {
                  const auto it = environment_.find(name);
                  if (it == environment_.end()) return std::nullopt;
                  return it->second;
                },
                .make_http = [this] { return s3_.MakeClient(); }})
        .value();
  }
  // The first `times` requests get `answer`.
  void AnswerFirst(int times, FakeS3::Answer answer) {
    s3_.before = [times, answer, seen = 0](const HttpRequest&) mutable {
      return seen++ < times ? std::optional(answer) : std::nullopt;
    };
  }

  testing::MemoryFs fs_;
  testing::SteppingClock clock_;
  FakeS3 s3_{clock_};
  std::map<std::string, std::string> environment_ = {{"AWS_EC2_METADATA_DISABLED", "true"}};
  S3Options options_{.endpoint = "s3.test:9000",
                     .insecure = true,
                     .access_key = "AK",
                     .secret_key = Secret("SK"),
                     .bucket = "bucket",
                     .timeout = absl::Minutes(5)};
};

TEST_F(ClientTest, AStrangeKeyIsSignedAsItIsSent) {
  const auto client = Make();
  const std::string key = "my föld+er/=a b%2F&?#\"'(x)~*\\.zip";
  const auto put = client->Call({.method = "PUT",
                                 .key = key,
                                 .headers = {{"x-amz-meta-holdfast-node-name", "a  b"}},
                                 .body = "text"});
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(s3_.objects.at(key).data, "text");
  EXPECT_EQ(client->Call({.key = key})->body, "text");
}

TEST_F(ClientTest, TroubleThatPassesIsTriedAgain) {
  const std::vector<FakeS3::Answer> troubles = {FakeS3::Error(503, "SlowDown"),
                                                FakeS3::Error(500, "InternalError"),
                                                FakeS3::Error(429, ""),
                                                FakeS3::Error(408, "RequestTimeout"),
                                                FakeS3::Error(400, "RequestTimeout"),
                                                FakeS3::Error(400, "BadDigest"),
                                                FakeS3::Error(400, "XAmzContentSHA256Mismatch"),
                                                HttpResponse{.code = 502, .body = "<html>"},
                                                UnavailableError("connection reset"),
                                                DeadlineExceededError("stalled")};
  ASSERT_TRUE(Make()->Call({.method = "PUT", .key = "k", .body = "x"}).ok());
  const auto before = s3_.requests().size();
  for (const auto& trouble : troubles) {
    AnswerFirst(3, trouble);
    EXPECT_TRUE(Make()->Call({.key = "k"}).ok());
  }
  EXPECT_EQ(s3_.requests().size() - before, 4 * troubles.size());
}

TEST_F(ClientTest, AnErrorInsideAGoodAnswerIsAnError) {
  s3_.uploads["1"] = {.key = "k", .headers = {}, .parts = {}};
  HttpResponse inside = FakeS3::Error(200, "InternalError");
  AnswerFirst(2, inside);
  const auto answer = Make()->Call({.method = "POST", .key = "k", .query = {{"uploads", ""}}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->body, HasSubstr("<UploadId>"));
}

TEST_F(ClientTest, WhatStaysIsToldAfterTheTimeout) {
  AnswerFirst(1'000'000, FakeS3::Error(503, "SlowDown", "Reduce your request rate."));
  const absl::Duration begun = clock_.Steady();
  const auto answer = Make()->Call({.key = "a b"});
  EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_THAT(MessageOf(answer.status()),
              HasSubstr("GET s3://bucket/a b: 503 SlowDown: Reduce your request rate."));
  EXPECT_LE(clock_.Steady() - begun, absl::Minutes(5));
  // The first contact takes seconds: settings may be wrong, and somebody waits.
  const absl::Duration again = clock_.Steady();
  EXPECT_THAT(MessageOf(FindBucket(*Make())),
              HasSubstr("failed to test for existence of bucket bucket: after 10 tries in "));
  EXPECT_LE(clock_.Steady() - again, absl::Seconds(20));
}

TEST_F(ClientTest, FinalErrorsAreToldAtOnceByTheirKind) {
  const auto code_of = [&](int http, const char* code) {
    AnswerFirst(1, FakeS3::Error(http, code));
    return Make()->Call({.key = "k"}).status().code();
  };
  EXPECT_EQ(code_of(403, "AccessDenied"), StatusCode::kPermissionDenied);
  EXPECT_EQ(code_of(403, "SignatureDoesNotMatch"), StatusCode::kUnauthenticated);
  EXPECT_EQ(code_of(404, "NoSuchKey"), StatusCode::kNotFound);
  EXPECT_EQ(code_of(412, "PreconditionFailed"), StatusCode::kFailedPrecondition);
  EXPECT_EQ(code_of(403, "QuotaExceeded"), StatusCode::kResourceExhausted);
  EXPECT_EQ(code_of(501, "NotImplemented"), StatusCode::kUnimplemented);
  EXPECT_EQ(code_of(301, "PermanentRedirect"), StatusCode::kInvalidArgument);
  EXPECT_EQ(s3_.requests().size(), 7u);
}

TEST_F(ClientTest, AWrongRegionNamesTheRightOne) {
  s3_.region = "eu-central-1";
  const Status status = FindBucket(*Make());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(HintOf(status), "The bucket's region is eu-central-1: set etcd-s3-region.");
}

TEST_F(ClientTest, AClockAnHourOffIsNamed) {
  testing::SteppingClock theirs(clock_.Now() - absl::Hours(1));
  FakeS3 s3(theirs);
  const auto client = MakeS3Client(options_, {.fs = fs_,
                                              .clock = clock_,
                                              .random = SystemRandom(),
                                              .environment = {},
                                              .make_http = [&] { return s3.MakeClient(); }})
                          .value();
  const Status status = FindBucket(*client);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(HintOf(status), "This host's clock is 1h0m0s ahead of the server's. Set it (NTP).");
}

TEST_F(ClientTest, AWrongSecretOrKeyOrNoneIsToldApart) {
  options_.secret_key = Secret("wrong-secret");
  Status status = FindBucket(*Make());
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_EQ(HintOf(status), "The secret key does not belong to the access key.");
  EXPECT_THAT(status.ToString(), Not(HasSubstr("wrong-secret")));
  options_.access_key = "nobody";
  EXPECT_EQ(HintOf(FindBucket(*Make())), "The server does not know this access key.");
  options_.access_key = "";
  status = FindBucket(*Make());
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(HintOf(status), HasSubstr("No credentials were found, so the request was anonymous"));
}

TEST_F(ClientTest, ACertificateThatIsNotTrustedIsToldWithItsRemedy) {
  AnswerFirst(100, UnauthenticatedError("https://s3.test: SSL certificate problem"));
  const Status status = FindBucket(*Make());
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_THAT(HintOf(status), HasSubstr("etcd-s3-endpoint-ca"));
  EXPECT_EQ(s3_.requests().size(), 2u);
}

TEST_F(ClientTest, AMissingBucketIsSaid) {
  options_.bucket = "other";
  const Status status = FindBucket(*Make());
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(MessageOf(status), "bucket other does not exist");
}

TEST_F(ClientTest, WhoMayListTheFolderNeedNotBeAllowedToHeadTheBucket) {
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (request.method == "HEAD") return FakeS3::Error(403, "AccessDenied");
    return std::nullopt;
  };
  EXPECT_TRUE(FindBucket(*Make()).ok());
}

TEST_F(ClientTest, SessionsThatEndedAreRenewedOnce) {
  options_.access_key = "";
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = "/keys";
  auto file = fs_.Create("/keys", 0600).value();
  const auto write = [&](const char* access) {
    const std::string text = fmt::format(
        "[default]\naws_access_key_id={}\naws_secret_access_key=SK\naws_session_token=T{}\n",
        access, access);
    ASSERT_TRUE(file->WriteAt(0, BytesOf(text)).ok());
  };
  s3_.secrets = {{"K2", "SK"}};
  s3_.tokens = {{"K2", "TK2"}};
  write("K1");
  const auto client = Make();
  EXPECT_FALSE(client->Call({.method = "HEAD"}).ok());
  EXPECT_EQ(s3_.requests().size(), 1u);
  write("K2");
  EXPECT_TRUE(client->Call({.method = "HEAD"}).ok());
  EXPECT_EQ(s3_.requests().size(), 3u);
}

}  // namespace
}  // namespace holdfast
