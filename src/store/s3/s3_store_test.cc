#include "store/s3/s3_store.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "store/s3/upload.h"
#include "testing/fake_clock.h"
#include "testing/fake_s3.h"
#include "testing/memory_fs.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using testing::FakeS3;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Four parts, five blocks.
const std::string& Large() {
  static const std::string text = testing::SampleText(50 * kMiB);
  return text;
}

class S3StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<ObjectStore> Open() {
    auto store = OpenS3Store(options_, Context());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  S3Context Context() {
    return {.fs = fs_,
            .clock = clock_,
            .random = SystemRandom(),
            .environment = {},
            .make_http = [this] { return s3_.MakeClient(); },
            .stop = stop_.get_token()};
  }
  static Status Save(ObjectStore& store, const std::string& name, std::string_view text,
                     const CreateOptions& options = {}) {
    ASSIGN_OR_RETURN(const auto object, store.Create(name, options));
    RETURN_IF_ERROR(testing::WriteInPieces(*object, text));
    RETURN_IF_ERROR(object->Finish());
    return object->Commit();
  }
  static StatusOr<std::string> Read(ObjectStore& store, const std::string& name) {
    ASSIGN_OR_RETURN(const auto object, store.Open(name));
    ASSIGN_OR_RETURN(const auto size, object->Size());
    std::string text(size, '\0');
    ASSIGN_OR_RETURN(const auto n,
                     object->ReadAt(0, {reinterpret_cast<std::uint8_t*>(text.data()), size}));
    text.resize(n);
    return text;
  }
  static bool Is(const HttpRequest& request, const char* method, const char* in_url) {
    return request.method == method && request.url.find(in_url) != std::string::npos;
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const auto& [key, object] : s3_.objects) keys.push_back(key);
    return keys;
  }

  testing::MemoryFs fs_;
  testing::SteppingClock clock_;
  FakeS3 s3_{clock_};
  std::stop_source stop_;  // of all
  S3Options options_{.endpoint = "s3.test:9000",
                     .insecure = true,
                     .access_key = "AK",
                     .secret_key = Secret("SK"),
                     .bucket = "bucket",
                     .folder = "prod"};
  const CreateOptions ours_ = {
      .attributes = {{"cluster-id", "c1"}, {"node-name", "n1"}, {"token-hash", "th"}}};
};

TEST_F(S3StoreTest, ObjectsLieWhereRke2KeepsThemAndCarryWhoseTheyAre) {
  options_.header_prefix = "Rke2";
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a-n1-1.zip", "zip", ours_).ok());
  ASSERT_TRUE(store->WriteMetadata("a-n1-1.zip", "{}").ok());
  EXPECT_THAT(Keys(), ElementsAre("prod/.metadata/a-n1-1.zip", "prod/a-n1-1.zip"));
  EXPECT_THAT(
      s3_.objects.at("prod/a-n1-1.zip").headers,
      ElementsAre(Pair("content-type", "application/zip"), Pair("x-amz-meta-rke2-cluster-id", "c1"),
                  Pair("x-amz-meta-rke2-node-name", "n1"),
                  Pair("x-amz-meta-rke2-token-hash", "th")));
  EXPECT_THAT(s3_.objects.at("prod/.metadata/a-n1-1.zip").headers,
              IsSupersetOf({Pair("content-type", "application/json"),
                            Pair("x-amz-meta-rke2-cluster-id", "c1")}));
  EXPECT_EQ(store->Location("a-n1-1.zip"), "s3://bucket/prod/a-n1-1.zip");
}

TEST_F(S3StoreTest, AnAttributeWithoutAValueIsLeftOutAndOneThatFitsNoHeaderRefused) {
  const auto store = Open();
  ASSERT_TRUE(
      Save(*store, "a", "x", {.attributes = {{"node-name", "n"}, {"token-hash", ""}}}).ok());
  EXPECT_THAT(store->List().value().at(0).attributes, ElementsAre(Pair("node-name", "n")));
  EXPECT_EQ(Save(*store, "b", "x", {.attributes = {{"node-name", "n\r\nx: y"}}}).code(),
            StatusCode::kInvalidArgument);
}

TEST_F(S3StoreTest, WhatIsSetGoesWithEveryObjectButTheClassOnlyWithSnapshots) {
  options_.server_side_encryption = "aws:kms";
  options_.kms_key_id = "key";
  options_.storage_class = "STANDARD_IA";
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", "x").ok());
  ASSERT_TRUE(Save(*store, "b", Large()).ok());
  ASSERT_TRUE(store->WriteMetadata("a", "{}").ok());
  for (const char* key : {"prod/a", "prod/b"})
    EXPECT_THAT(s3_.objects.at(key).headers,
                ElementsAre(Pair("content-type", "application/octet-stream"),
                            Pair("x-amz-server-side-encryption", "aws:kms"),
                            Pair("x-amz-server-side-encryption-aws-kms-key-id", "key"),
                            Pair("x-amz-storage-class", "STANDARD_IA")));
  EXPECT_FALSE(s3_.objects.at("prod/.metadata/a").headers.contains("x-amz-storage-class"));
}

TEST_F(S3StoreTest, ListsOnlyItsFolder) {
  const auto put = [&](const std::string& key, const std::string& data) {
    s3_.objects[key] = {.data = data, .etag = "e", .headers = {}, .modified_at = clock_.Now()};
  };
  for (const char* key :
       {"prod-2/a", "prod/a", "prod/sub/b", "a", "prod/.hidden", "prod/.metadata/x"})
    put(key, "x");
  put("prod/", "");
  put("prod/empty", "");
  const auto listed = Open()->List().value();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].name, "a");
  EXPECT_EQ(listed[0].modified_at, clock_.Now());
}

TEST_F(S3StoreTest, AttributesOfAllDistributionsAreReadWithTheFewestRequests) {
  const auto put = [&](const std::string& key, const std::string& prefix) {
    s3_.objects[key] = {.data = "x",
                        .etag = "e",
                        .headers = {{"x-amz-meta-" + prefix + "-node-name", prefix}},
                        .modified_at = clock_.Now()};
  };
  put("prod/a", "rke2");
  put("prod/b", "k3s");
  put("prod/c", "holdfast");
  put("prod/.metadata/c", "holdfast");
  put("prod/d", "somebody");
  const auto store = Open();
  const auto before = s3_.requests().size();
  const auto listed = store->List().value();
  EXPECT_THAT(listed[0].attributes, ElementsAre(Pair("node-name", "rke2")));
  EXPECT_THAT(listed[1].attributes, ElementsAre(Pair("node-name", "k3s")));
  EXPECT_THAT(listed[2].attributes, ElementsAre(Pair("node-name", "holdfast")));
  EXPECT_EQ(listed[2].metadata.value_or(""), "x");
  EXPECT_THAT(listed[3].attributes, IsEmpty());
  // Two listings, one look at each.
  EXPECT_EQ(s3_.requests().size() - before, 2u + 4u);
  EXPECT_EQ(s3_.CountRequests("HEAD /bucket/prod/c"), 0);
}

TEST_F(S3StoreTest, AnObjectThatMayNotBeLookedAtIsListedBesideTheOthers) {
  const auto store = Open();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Save(*store, name, "x", ours_).ok());
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "HEAD", "prod/a")) return FakeS3::Error(403, "");
    if (Is(request, "HEAD", "prod/b"))
      return FakeS3::Error(400, "");  // encrypted with a customer's key
    return std::nullopt;
  };
  const auto listed = store->List().value();
  ASSERT_EQ(listed.size(), 3u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(listed[i].attributes_status.ok());
    EXPECT_THAT(listed[i].attributes, IsEmpty());
  }
  EXPECT_TRUE(listed[2].attributes_status.ok());
  EXPECT_EQ(listed[2].attributes, ours_.attributes);
  // What is the service's trouble, and not one object's, fails all.
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "HEAD", "prod/a")) return FakeS3::Error(401, "");
    return std::nullopt;
  };
  EXPECT_FALSE(store->List().ok());
}

TEST_F(S3StoreTest, PartsGrowSoThatTheirNumberSuffices) {
  std::uint64_t total = 0;
  for (int i = 1; i <= kS3PartsMax; ++i) {
    total += S3PartBytes(i);
    EXPECT_LE(S3PartBytes(i), 48 * kMiB);
  }
  EXPECT_EQ(total, kS3ObjectBytesMax);
}

TEST_F(S3StoreTest, WhatIsTooLongIsSaidBeforeAnythingIsSent) {
  const auto store = Open();
  const std::size_t before = s3_.requests().size();
  const Status status = store->Create("a", {.bytes_expected = kS3ObjectBytesMax + 1}).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(s3_.requests().size(), before);
  EXPECT_TRUE(store->Create("a", {.bytes_expected = kS3ObjectBytesMax}).ok());
}

TEST_F(S3StoreTest, AnUploadThatAnotherClusterReplacedAtOnceIsNoSuccess) {
  const auto store = Open();
  s3_.after = [&](const HttpRequest& request, FakeS3::Answer answer) {
    for (const char* key : {"prod/a", "prod/b"}) {
      const bool now = Is(request, "PUT", key) || Is(request, "POST", key);
      if (now && s3_.objects.contains(key))
        s3_.objects[key] = {.data = "theirs",
                            .etag = "e",
                            .headers = {{"x-amz-meta-holdfast-cluster-id", "c2"}},
                            .modified_at = clock_.Now()};
    }
    return answer;
  };
  EXPECT_TRUE(absl::IsAlreadyExists(Save(*store, "a", "x", ours_)));
  EXPECT_TRUE(absl::IsAlreadyExists(Save(*store, "b", Large(), ours_)));
  EXPECT_EQ(s3_.objects.at("prod/a").data, "theirs");
  EXPECT_EQ(s3_.objects.at("prod/b").data, "theirs");
}

TEST_F(S3StoreTest, OnePartIsSentAgainAndNotTheWholeUpload) {
  int failures = 3;
  s3_.before = [&](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (!Is(request, "PUT", "partNumber=2") || failures == 0) return std::nullopt;
    --failures;
    return UnavailableError("connection reset");
  };
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  EXPECT_EQ(s3_.CountRequests("PUT /bucket/prod/a?partNumber=2&"), 4);
  EXPECT_EQ(s3_.CountRequests("PUT /bucket/prod/a?partNumber=1&"), 1);
  EXPECT_EQ(s3_.CountRequests("PUT /bucket/prod/a?partNumber=4&"), 1);
  EXPECT_TRUE(s3_.objects.at("prod/a").data == Large());
}

TEST_F(S3StoreTest, APartThatCannotBeSentEndsTheUploadAndLeavesNothing) {
  s3_.before = [&](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "PUT", "partNumber=2")) return FakeS3::Error(403, "QuotaExceeded", "Full.");
    return std::nullopt;
  };
  const auto store = Open();
  const Status status = Save(*store, "a", Large());
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(status),
              HasSubstr("part 2: PUT s3://bucket/prod/a: 403 QuotaExceeded: Full."));
  EXPECT_THAT(s3_.uploads, IsEmpty());
  EXPECT_THAT(s3_.objects, IsEmpty());
}

TEST_F(S3StoreTest, ACompletionWhoseAnswerGotLostIsFoundDone) {
  s3_.after = [lost = false](const HttpRequest& request, FakeS3::Answer answer) mutable {
    if (!Is(request, "POST", "uploadId=") || lost) return answer;
    lost = true;
    return FakeS3::Answer(UnavailableError("connection reset"));
  };
  const auto store = Open();
  const Status status = Save(*store, "a", Large());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(s3_.CountRequests("POST /bucket/prod/a?uploadId="), 2);
}

TEST_F(S3StoreTest, ACompletionThatOnlySaysItIsDoneIsNot) {
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "POST", "uploadId="))
      return HttpResponse{.code = 200, .body = "<CompleteMultipartUploadResult/>"};
    return std::nullopt;
  };
  const auto store = Open();
  EXPECT_FALSE(Save(*store, "a", Large()).ok());
}

TEST_F(S3StoreTest, OtherBytesThanWereSentAreNotASnapshot) {
  // One part swallowed, one byte changed, a whole object cut: each is seen by what the store says it has.
  s3_.after = [](const HttpRequest& request, FakeS3::Answer answer) {
    if (answer.ok() && Is(request, "PUT", "partNumber=2"))
      answer->headers = {{"etag", "\"00000000000000000000000000000000\""}};
    return answer;
  };
  const auto store = Open();
  EXPECT_TRUE(absl::IsDataLoss(Save(*store, "a", Large())));
  s3_.after = [](const HttpRequest& request, FakeS3::Answer answer) {
    if (answer.ok() && request.method == "HEAD")
      for (auto& [name, value] : answer->headers)
        if (name == "content-length") value = "7";
    return answer;
  };
  EXPECT_TRUE(absl::IsDataLoss(Save(*store, "b", "eight...")));
  EXPECT_THAT(s3_.objects, IsEmpty());
}

TEST_F(S3StoreTest, ETagsThatAreNoMd5SayNothing) {
  s3_.etags_are_md5 = false;
  const auto store = Open();
  EXPECT_TRUE(Save(*store, "a", Large()).ok());
  EXPECT_TRUE(Save(*store, "b", "x").ok());
}

TEST_F(S3StoreTest, AStopEndsAnUploadAndLeavesNothing) {
  const auto store = Open();
  std::stop_source stop;
  s3_.before = [&](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "PUT", "partNumber=2")) stop.request_stop();
    return std::nullopt;
  };
  EXPECT_TRUE(absl::IsCancelled(Save(*store, "a", Large(), {.stop = stop.get_token()})));
  EXPECT_THAT(s3_.uploads, IsEmpty());
}

TEST_F(S3StoreTest, AStopOfAllEndsWhateverGoesOn) {
  const auto everyone = [](auto, auto) { return true; };
  const std::vector<std::function<Status(ObjectStore&)>> acts = {
      [](ObjectStore& s) { return s.List().status(); },
      [](ObjectStore& s) { return s.Open("a").status(); },
      [](ObjectStore& s) { return s.Create("b", {}).status(); },
      [](ObjectStore& s) { return s.Remove("a"); },
      [](ObjectStore& s) { return s.ReadMetadata("a").status(); },
      [](ObjectStore& s) { return s.WriteMetadata("a", "{}"); },
      [&](ObjectStore& s) { return s.RemoveUnfinished(everyone).status(); },
      [this](ObjectStore&) { return OpenS3Store(options_, Context()).status(); },
      [this](ObjectStore&) { return CheckS3(options_, Context()).back().status; }};
  for (std::size_t i = 0; i < acts.size(); ++i) {
    stop_ = {};
    s3_.before = nullptr;
    const auto store = Open();
    const std::size_t before = s3_.requests().size();
    s3_.before = [&](const HttpRequest&) -> std::optional<FakeS3::Answer> {
      stop_.request_stop();
      return FakeS3::Answer(UnavailableError("connection reset"));
    };
    const Status status = acts[i](*store);
    EXPECT_TRUE(absl::IsCancelled(status)) << i << ": " << status;
    EXPECT_EQ(s3_.requests().size() - before, 1u) << i << ": nothing is tried again";
  }
}

TEST_F(S3StoreTest, AStopOfAllEndsReadsAndUploadsAndTheseAreAborted) {
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  const auto object = store->Open("a").value();
  auto upload = store->Create("b", {}).value();
  ASSERT_TRUE(testing::WriteInPieces(*upload, Large()).ok());
  s3_.before = [&](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (request.method == "GET") stop_.request_stop();
    return std::nullopt;
  };
  std::vector<std::uint8_t> out(Large().size());
  EXPECT_TRUE(absl::IsCancelled(object->ReadAt(0, out).status()));
  EXPECT_TRUE(absl::IsCancelled(upload->Finish()));
  EXPECT_EQ(s3_.uploads.size(), 1u);
  absl::Duration patience;
  s3_.before = [&](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    patience = request.stall_timeout;
    return std::nullopt;
  };
  upload.reset();
  EXPECT_THAT(s3_.uploads, IsEmpty());
  EXPECT_LE(patience, absl::Seconds(5));
}

TEST_F(S3StoreTest, ReadsGoOnWhereTheyBrokeOff) {
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  std::atomic<int> cuts = 0;
  s3_.after = [&](const HttpRequest& request, FakeS3::Answer answer) {
    if (request.method != "GET" || !answer.ok() || answer->body.size() < 100 || cuts++ >= 12)
      return answer;
    // Half a body, then the connection is gone; or it looks complete.
    const std::string half = answer->body.substr(0, answer->body.size() / 2);
    if (cuts % 2 == 0) {
      answer->body = half;
      return answer;
    }
    EXPECT_TRUE(request.on_body(half).ok());
    return FakeS3::Answer(UnavailableError("connection reset"));
  };
  const auto text = Read(*store, "a");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(*text == Large());
  EXPECT_GT(cuts, 12);
}

TEST_F(S3StoreTest, AnObjectThatIsReplacedWhileItIsReadIsNotMixed) {
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  const auto object = store->Open("a").value();
  std::uint8_t byte;
  ASSERT_TRUE(object->ReadAt(0, {&byte, 1}).ok());
  s3_.Overwrite("prod/a", std::string(Large().size(), 'x'));
  EXPECT_EQ(object->ReadAt(Large().size() - 1, {&byte, 1}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(S3StoreTest, AnAnswerOfAnotherRangeIsNotTaken) {
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  const auto object = store->Open("a").value();
  s3_.after = [](const HttpRequest&, FakeS3::Answer answer) {
    if (answer.ok() && answer->code == 206) answer->code = 200;
    return answer;
  };
  std::uint8_t byte;
  EXPECT_TRUE(absl::IsDataLoss(object->ReadAt(Large().size() - 1, {&byte, 1}).status()));
}

TEST_F(S3StoreTest, ANameThatWasTakenMeanwhileIsNotReplaced) {
  const auto store = Open();
  for (const std::string_view text : {std::string_view("short"), std::string_view(Large())}) {
    const auto late = store->Create("a", {}).value();
    ASSERT_TRUE(testing::WriteInPieces(*late, text).ok());
    ASSERT_TRUE(late->Finish().ok());
    ASSERT_TRUE(Save(*store, "a", "first").ok());
    EXPECT_TRUE(absl::IsAlreadyExists(late->Commit()));
    EXPECT_EQ(s3_.objects.at("prod/a").data, "first");
    s3_.objects.clear();
  }
}

TEST_F(S3StoreTest, AnObjectMayOutliveItsStore) {
  auto store = Open();
  ASSERT_TRUE(Save(*store, "a", Large()).ok());
  const auto object = store->Open("a").value();
  auto late = store->Create("b", {}).value();
  store.reset();
  std::uint8_t byte;
  EXPECT_TRUE(object->ReadAt(20'000'000, {&byte, 1}).ok());
  ASSERT_TRUE(late->Write(BytesOf("x")).ok());
  ASSERT_TRUE(late->Finish().ok());
  EXPECT_TRUE(late->Commit().ok());
}

TEST_F(S3StoreTest, UnfinishedUploadsOfOursAreAborted) {
  s3_.page_size = 2;
  for (int i = 0; i < 5; ++i)
    s3_.uploads["u" + std::to_string(i)] = {
        .key = "prod/mine " + std::to_string(i), .headers = {}, .parts = {}};
  s3_.uploads["v"] = {.key = "prod/other", .headers = {}, .parts = {}};
  s3_.uploads["w"] = {.key = "prod-2/mine", .headers = {}, .parts = {}};
  s3_.uploads["x"] = {.key = "prod/sub/mine", .headers = {}, .parts = {}};
  s3_.uploads["u5"] = {
      .key = "prod/mine new", .headers = {}, .parts = {}, .begun_at = clock_.Now()};
  const auto removed = Open()->RemoveUnfinished([&](std::string_view name, absl::Time since) {
    return name.starts_with("mine") && since < clock_.Now();
  });
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, UnorderedElementsAre("mine 0", "mine 1", "mine 2", "mine 3", "mine 4"));
  EXPECT_EQ(s3_.uploads.size(), 4u);
}

TEST_F(S3StoreTest, ARefusedDeleteIsToldAndKeepsTheMetadata) {
  const auto store = Open();
  ASSERT_TRUE(Save(*store, "a", "x").ok());
  ASSERT_TRUE(store->WriteMetadata("a", "{}").ok());
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (request.method == "DELETE")
      return FakeS3::Error(403, "AccessDenied", "forbidden by object lock");
    return std::nullopt;
  };
  const Status status = store->Remove("a");
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("AccessDenied: forbidden by object lock"));
  EXPECT_EQ(s3_.objects.size(), 2u);
}

TEST_F(S3StoreTest, TheCheckTriesEverythingAndLeavesNothing) {
  const auto steps = CheckS3(options_, Context());
  EXPECT_EQ(steps.size(), 15u);
  for (const S3CheckStep& step : steps) EXPECT_TRUE(step.status.ok()) << step.what << step.status;
  EXPECT_THAT(s3_.objects, IsEmpty());
  EXPECT_THAT(s3_.uploads, IsEmpty());
}

TEST_F(S3StoreTest, TheCheckNamesTheMissingPermission) {
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (request.method == "DELETE" && request.url.find('?') == std::string::npos)
      return FakeS3::Error(403, "AccessDenied");
    return std::nullopt;
  };
  std::vector<std::string> failed;
  for (const S3CheckStep& step : CheckS3(options_, Context()))
    if (!step.status.ok()) failed.push_back(step.needs);
  EXPECT_THAT(failed, ElementsAre("s3:DeleteObject on arn:aws:s3:::bucket/prod/*",
                                  "s3:DeleteObject on arn:aws:s3:::bucket/prod/.metadata/*"));
  // What stays is no snapshot.
  EXPECT_THAT(Open()->List().value(), IsEmpty());
}

TEST_F(S3StoreTest, TheCheckLeavesNoUploadThatCannotBeCompleted) {
  s3_.before = [](const HttpRequest& request) -> std::optional<FakeS3::Answer> {
    if (Is(request, "POST", "uploadId=")) return FakeS3::Error(403, "AccessDenied");
    return std::nullopt;
  };
  EXPECT_FALSE(CheckS3(options_, Context()).back().status.ok());
  EXPECT_THAT(s3_.uploads, IsEmpty());
}

TEST_F(S3StoreTest, TheCheckOfImpossibleSettingsMakesNoRequest) {
  options_.endpoint = "http://s3.test";
  const auto steps = CheckS3(options_, Context());
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(s3_.requests(), IsEmpty());
}

}  // namespace
}  // namespace holdfast
