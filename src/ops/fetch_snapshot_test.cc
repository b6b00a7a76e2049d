#include "ops/fetch_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "artifact/manifest.h"
#include "os/atomic_file.h"
#include "testing/fake_bucket.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FetchTest : public ::testing::Test {
 protected:
  FetchTest() {
    for (const char* d : {"/db/snapshots", "/home/me"})
      EXPECT_TRUE(MakeDirectories(fs_, d, 0700).ok());
  }
  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(fs_, path, text, 0600).ok());
  }
  FetchRequest Request(const std::string& given, bool s3_on) {
    return {
        .given = given,
        .working_directory = "/home/me",
        .place = {.fs = fs_, .directory = "/db/snapshots", .make_if_missing = true, .node = "n"},
        .s3_on = s3_on,
        .s3 = {.bucket = "set", .folder = "f"},
        .open_s3 = [this](const S3Options& o) -> StatusOr<std::unique_ptr<ObjectStore>> {
          opened_.push_back(o.bucket + "|" + o.folder);
          RETURN_IF_ERROR(open_status_);
          return std::make_unique<testing::FakeS3Store>(bucket_);
        }};
  }
  StatusOr<OpenedSnapshot> Fetch(const std::string& given, bool s3_on = true) {
    return FetchSnapshot(Request(given, s3_on));
  }
  static std::string Content(const RandomAccess& bytes) {
    std::string out(bytes.Size().value(), 0);
    const MutableByteSpan span(reinterpret_cast<std::uint8_t*>(out.data()), out.size());
    EXPECT_EQ(bytes.ReadAt(0, span).value(), out.size());
    return out;
  }
  std::string Text(const std::string& path) {
    return ReadFile(fs_, path, 1 << 20).value_or("none");
  }

  testing::MemoryFs fs_;
  testing::FakeBucket bucket_;
  Status open_status_;
  std::vector<std::string> opened_;
};

TEST_F(FetchTest, PathsNeverAskS3) {
  Write("/db/snapshots/a-n-1", "A");
  Write("/home/me/b", "B");
  for (const char* given : {"/db/snapshots/a-n-1", "file:///db/snapshots/a-n-1", "./b"})
    EXPECT_FALSE(Fetch(given)->downloaded) << given;
  EXPECT_EQ(Fetch("a-n-1", /*s3_on=*/false)->bytes->path(), "/db/snapshots/a-n-1");
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(FetchTest, OfANameTheOneThatExistsIsTaken) {
  Write("/db/snapshots/local-n-1", "L");
  bucket_.objects["remote-n-2"] = {.content = "R", .attributes = {}, .metadata = "{\"a\":\"b\"}"};
  EXPECT_EQ(Fetch("local-n-1")->bytes->path(), "/db/snapshots/local-n-1");
  const OpenedSnapshot fetched = Fetch("remote-n-2").value();
  EXPECT_TRUE(fetched.downloaded);
  EXPECT_EQ(Text(fetched.bytes->path()), "R");
  EXPECT_EQ(fs_.Stat(fetched.bytes->path())->mode & 0777, 0600u);
  EXPECT_EQ(Text("/db/.metadata/remote-n-2"), "{\n  \"a\": \"b\"\n}\n");
  EXPECT_THAT(opened_, ElementsAre("set|f", "set|f"));
  RemoveDownload(Request("", true).place, fetched);
  EXPECT_FALSE(Exists(fs_, fetched.bytes->path()).value());
  EXPECT_FALSE(Exists(fs_, "/db/.metadata/remote-n-2").value());
}

TEST_F(FetchTest, OfTwoNobodyGuessesAndTheFormsThatSayItWork) {
  Write("/db/snapshots/both-n-1", "file");
  bucket_.objects["both-n-1"] = {.content = "object"};
  const Status refused = Fetch("both-n-1").status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(MessageOf(refused),
              HasSubstr("file:///db/snapshots/both-n-1 and s3://bucket/both-n-1"));
  EXPECT_EQ(Fetch("file:///db/snapshots/both-n-1")->bytes->path(), "/db/snapshots/both-n-1");
  const Status taken = Fetch("s3://b/both-n-1").status();
  EXPECT_TRUE(absl::IsAlreadyExists(taken)) << taken;
  EXPECT_EQ(Text("/db/snapshots/both-n-1"), "file");
  Write("/db/snapshots/both-n-1", "object");
  const OpenedSnapshot same = Fetch("s3://b/both-n-1").value();
  EXPECT_EQ(same.bytes->path(), "/db/snapshots/both-n-1");
  EXPECT_FALSE(same.downloaded) << "it must not be removed afterwards";
}

TEST_F(FetchTest, AnS3NameChoosesBucketAndFolderAndNeedsNoSwitch) {
  bucket_.objects["x-n-1"] = {.content = "X"};
  EXPECT_TRUE(Fetch("s3://other/deep/folder/x-n-1", /*s3_on=*/false)->downloaded);
  EXPECT_THAT(opened_, ElementsAre("other|deep/folder"));
  for (const char* bad : {"s3://", "s3://b", "s3://b/f/", "s3://b/f/.."})
    EXPECT_TRUE(absl::IsInvalidArgument(Fetch(bad).status())) << bad;
  EXPECT_TRUE(absl::IsNotFound(Fetch("s3://b/none").status()));
}

TEST_F(FetchTest, WhatIsNowhereIsSaidWithWhatThereIs) {
  bucket_.objects["etcd-snapshot-n-5"] = {.content = "x"};
  const Status missing = Fetch("nope-n-1").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(MessageOf(missing), HasSubstr("s3://bucket/nope-n-1"));
  EXPECT_THAT(HintOf(missing), HasSubstr("etcd-snapshot-n-5"));
  EXPECT_TRUE(absl::IsNotFound(Fetch("f/../x").status()));
}

TEST_F(FetchTest, WithoutS3TheFileIsNotTakenSilently) {
  Write("/db/snapshots/a-n-1", "A");
  open_status_ = UnavailableError("no route");
  const Status status = Fetch("a-n-1").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(HintOf(status), HasSubstr("file:///db/snapshots/a-n-1"));
}

TEST_F(FetchTest, HalfADownloadHasNoName) {
  bucket_.objects["x-n-1"] = {.content = "X"};
  for (const char* call : {"open", "read-metadata"}) {
    bucket_.fault = [&](const std::string& c) {
      return c.starts_with(call) ? UnavailableError("gone") : OkStatus();
    };
    EXPECT_EQ(Fetch("s3://b/x-n-1").ok(), std::string(call) == "read-metadata") << call;
  }
  std::stop_source stop;
  stop.request_stop();
  FetchRequest request = Request("s3://b/y-n-1", true);
  bucket_.fault = [](const std::string&) { return OkStatus(); };
  bucket_.objects["y-n-1"] = {.content = "Y"};
  request.stop = stop.get_token();
  EXPECT_TRUE(absl::IsCancelled(FetchSnapshot(request).status()));
  EXPECT_EQ(fs_.List("/db/snapshots")->size(), 1u) << "only x";
}

TEST_F(FetchTest, OpenedItStaysWhereItIs) {
  Write("/db/snapshots/both-n-1", "file");
  bucket_.objects["both-n-1"] = {.content = "object"};
  const OpenedSnapshot object = OpenSnapshot(Request("s3://b/both-n-1", true)).value();
  EXPECT_EQ(object.bytes->path(), "s3://bucket/both-n-1");
  EXPECT_EQ(Content(*object.bytes), "object");
  const OpenedSnapshot file = OpenSnapshot(Request("file:///db/snapshots/both-n-1", true)).value();
  EXPECT_EQ(Content(*file.bytes), "file");
  EXPECT_TRUE(absl::IsInvalidArgument(OpenSnapshot(Request("both-n-1", true)).status()));
  EXPECT_EQ(fs_.List("/db/snapshots")->size(), 1u);
}

TEST_F(FetchTest, WhatAManifestOfOursSaysMustHold) {
  Manifest manifest{.base = "a", .node = "n", .file_bytes = 5, .sha256 = std::string(64, '0')};
  bucket_.objects["a-n-1"] = {.content = "12345", .attributes = {}, .metadata = manifest.Encode()};
  EXPECT_EQ(OpenSnapshot(Request("a-n-1", true))->expected_sha256, manifest.sha256);
  const OpenedSnapshot fetched = Fetch("a-n-1").value();
  EXPECT_EQ(fetched.expected_sha256, manifest.sha256) << "for the restore to compare";
  RemoveDownload(Request("", true).place, fetched);
  bucket_.objects["a-n-1"].content += "6";
  const Status status = Fetch("a-n-1").status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("a-n-1"));
  EXPECT_THAT(fs_.List("/db/snapshots").value(), IsEmpty());
  bucket_.objects["a-n-1"].metadata.reset();
  EXPECT_EQ(Fetch("a-n-1")->expected_sha256, "") << "a foreign one: only the restore checks it";
}

}  // namespace
}  // namespace holdfast
