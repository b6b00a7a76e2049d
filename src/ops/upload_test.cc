#include "ops/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "os/system_clock.h"
#include "store/local_store.h"
#include "testing/fake_bucket.h"
#include "testing/fake_clock.h"
#include "testing/fake_etcd.h"
#include "testing/fake_etcd_datastore.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

class UploadTest : public ::testing::Test {
 protected:
  UploadTest() { etcd_.snapshot = testing::WithDigest(testing::MvccBuilder().bolt.Build()); }

  // Saves one snapshot that shall be in S3.
  CapturedSnapshot Save(Compression compression = Compression::kNone,
                        const std::string& base = "etcd-snapshot") {
    clock_.SetNow(clock_.Now() + absl::Seconds(1));
    return SaveSnapshot(place_, *testing::DatastoreOf(etcd_), clock_, one_,
                        {.base = base,
                         .compression = compression,
                         .token_hash = "t",
                         .upload_owed = "not yet"})
        .value();
  }
  Status Upload(const CapturedSnapshot& saved) {
    return UploadSnapshot(place_, {.name = saved.name, .manifest = saved.manifest});
  }
  StatusOr<std::vector<OwedUpload>> UploadAllOwed(std::int64_t keep = 0) {
    return UploadOwed(place_, S3Rule(place_, "etcd-snapshot", keep, absl::InfiniteFuture()),
                      in_flight_, clock_, {});
  }
  std::string OwedFor(const std::string& name) {
    return Manifest::Decode(local_.ReadMetadata(name).value())->upload_owed;
  }
  void FailAt(std::string call, Status error = UnavailableError("503")) {
    bucket_.fault = [call, error](const std::string& c) {
      return c.starts_with(call) ? error : OkStatus();
    };
  }
  void NoFault() { FailAt("nothing"); }

  testing::MemoryFs fs_;
  testing::FakeClock clock_;
  testing::FakeEtcd etcd_;
  testing::FakeBucket bucket_;
  S3Folder s3_{.options = {}, .store = std::make_unique<testing::FakeS3Store>(bucket_)};
  SnapshotPlace place_{.fs = fs_,
                       .directory = "/db/snapshots",
                       .make_if_missing = true,
                       .node = "n1",
                       .cluster_id = "c1",
                       .s3 = &s3_};
  LocalStore local_{fs_, "/db/snapshots"};
  Mutex one_;
  UploadsInFlight in_flight_;
};

TEST_F(UploadTest, TheCopyHasTheBytesTheAttributesAndTheManifest) {
  for (const Compression c : {Compression::kNone, Compression::kZip, Compression::kZstd}) {
    const CapturedSnapshot saved = Save(c);
    EXPECT_EQ(OwedFor(saved.name), "not yet");
    ASSERT_TRUE(Upload(saved).ok());
    const auto& object = bucket_.objects.at(saved.name);
    EXPECT_EQ(object.content.size(), saved.manifest.file_bytes);
    EXPECT_EQ(object.attributes,
              (std::map<std::string, std::string>{
                  {"cluster-id", "c1"}, {"node-name", "n1"}, {"token-hash", "t"}}));
    EXPECT_EQ(*object.metadata, local_.ReadMetadata(saved.name).value()) << "nothing is owed";
    EXPECT_EQ(object.metadata->find("owed"), std::string::npos);
  }
}

TEST_F(UploadTest, WhateverFailsTheSnapshotStaysAndSaysWhyAndTheNextTryMakesUpForIt) {
  for (const char* call : {"create", "write", "commit", "write-metadata"}) {
    const CapturedSnapshot saved = Save();
    FailAt(call);
    const Status status = Upload(saved);
    EXPECT_TRUE(absl::IsUnavailable(status)) << call;
    EXPECT_THAT(MessageOf(status), HasSubstr("s3://bucket/" + saved.name));
    EXPECT_THAT(OwedFor(saved.name), HasSubstr("503")) << call;
    const auto records = ListSnapshots(place_)->records;
    const auto row = std::find_if(records.begin(), records.end(),
                                  [&](const auto& r) { return r.name == saved.name; });
    EXPECT_THAT(row->error, HasSubstr("not in S3: ")) << call;

    NoFault();
    const auto tried = UploadAllOwed().value();
    ASSERT_EQ(tried.size(), 1u) << call;
    EXPECT_TRUE(tried[0].status.ok()) << tried[0].status;
    EXPECT_EQ(OwedFor(saved.name), "");
    EXPECT_EQ(*bucket_.objects.at(saved.name).metadata, local_.ReadMetadata(saved.name).value());
    EXPECT_THAT(UploadAllOwed().value(), IsEmpty());
  }
}

TEST_F(UploadTest, AnAnswerThatWasLostIsNoFailureButAnotherSnapshotOfTheNameIs) {
  const CapturedSnapshot saved = Save();
  ASSERT_TRUE(Upload(saved).ok());
  ASSERT_TRUE(Upload(saved).ok()) << "it is there";
  bucket_.objects.at(saved.name).metadata.reset();
  ASSERT_TRUE(Upload(saved).ok()) << "killed between object and metadata";
  EXPECT_TRUE(bucket_.objects.at(saved.name).metadata.has_value());

  bucket_.objects.at(saved.name).attributes["cluster-id"] = "c2";
  const std::string content = bucket_.objects.at(saved.name).content;
  const Status other = Upload(saved);
  EXPECT_TRUE(absl::IsAlreadyExists(other)) << other;
  EXPECT_THAT(HintOf(other), HasSubstr("--etcd-s3-folder"));
  EXPECT_EQ(bucket_.objects.at(saved.name).content, content);
}

TEST_F(UploadTest, WhatWasDamagedOnTheDiskIsNotUploaded) {
  const CapturedSnapshot saved = Save();
  {
    const auto file = fs_.OpenForWrite("/db/snapshots/" + saved.name).value();
    const std::uint8_t byte[] = {0xff};
    ASSERT_TRUE(file->WriteAt(100, byte).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(Upload(saved)));
  EXPECT_THAT(bucket_.Names(), IsEmpty());
}

TEST_F(UploadTest, ADatabasesSnapshotIsComparedWithItsManifestForNothingInsideSaysWhatItIs) {
  const std::string content = "SQLite format 3";
  Manifest manifest{.base = "etcd-snapshot",
                    .node = "n1",
                    .created_at = clock_.Now(),
                    .file_bytes = content.size(),
                    .snapshot_bytes = content.size(),
                    .sha256 = HexOf(Sha256Of(BytesOf(content))),
                    .datastore = "sqlite",
                    .upload_owed = "not yet"};
  ASSERT_TRUE(MakeDirectories(fs_, "/db/snapshots", 0700).ok());
  const auto put = [&](const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(fs_, "/db/snapshots/" + name, text, 0600).ok());
    ASSERT_TRUE(local_.WriteMetadata(name, manifest.Encode()).ok());
  };
  put("a", content);
  put("b", "SQLite format 4");
  put("c", content + "+");
  const auto upload = [&](const std::string& name) {
    return UploadSnapshot(place_, {.name = name, .manifest = manifest});
  };
  EXPECT_TRUE(upload("a").ok());
  EXPECT_EQ(OwedFor("a"), "");
  EXPECT_TRUE(absl::IsDataLoss(upload("b")));
  EXPECT_TRUE(absl::IsDataLoss(upload("c")));
  manifest.compression = Compression::kZip;
  EXPECT_TRUE(absl::IsDataLoss(upload("c")));
  EXPECT_THAT(bucket_.Names(), ElementsAre("a"));
}

TEST_F(UploadTest, AOneOffUploadThatFailsIsNotOwed) {
  CapturedSnapshot saved = Save();
  saved.manifest.upload_owed.clear();
  ASSERT_TRUE(local_.WriteMetadata(saved.name, saved.manifest.Encode()).ok());
  FailAt("commit");
  EXPECT_FALSE(Upload(saved).ok());
  EXPECT_EQ(OwedFor(saved.name), "");
}

TEST_F(UploadTest, TheNewestGoFirstAndOneThatFailsDoesNotKeepTheOthers) {
  const std::string a = Save().name, b = Save().name, c = Save().name;
  FailAt("create " + b);
  const auto tried = UploadAllOwed().value();
  ASSERT_EQ(tried.size(), 3u);
  EXPECT_THAT((Strings{tried[0].name, tried[1].name, tried[2].name}), ElementsAre(c, b, a));
  EXPECT_FALSE(tried[1].status.ok());
  EXPECT_THAT(bucket_.Names(), ElementsAre(a, c));
}

TEST_F(UploadTest, WhatRetentionWouldRemoveAtOnceIsNotUploaded) {
  const std::string old = Save().name, on_demand = Save(Compression::kNone, "on-demand").name,
                    newer = Save().name, newest = Save().name;
  EXPECT_EQ(UploadAllOwed(2)->size(), 3u) << "on-demand ones have no limit";
  EXPECT_THAT(bucket_.Names(), ::testing::UnorderedElementsAre(newer, newest, on_demand));
  EXPECT_EQ(OwedFor(old), "");
  EXPECT_THAT(UploadAllOwed(2).value(), IsEmpty());
}

TEST_F(UploadTest, OnlyThisNodesAndNoneThatIsBeingUploaded) {
  const CapturedSnapshot theirs = Save();
  Manifest manifest = theirs.manifest;
  manifest.node = "n2";  // the directory is shared
  ASSERT_TRUE(local_.WriteMetadata(theirs.name, manifest.Encode()).ok());
  const CapturedSnapshot ours = Save();
  {
    const auto claim = in_flight_.TryClaim(ours.name);
    ASSERT_NE(claim, nullptr);
    EXPECT_EQ(in_flight_.TryClaim(ours.name), nullptr);
    EXPECT_THAT(UploadAllOwed().value(), IsEmpty());
  }
  EXPECT_EQ(UploadAllOwed()->size(), 1u);
  EXPECT_THAT(bucket_.Names(), ElementsAre(ours.name));
}

TEST_F(UploadTest, UnfinishedUploadsOfOursAreEndedAndNoOthers) {
  const std::string ours = Save().name, going_on = Save().name;
  // The directory is shared with a node n2, which is at work.
  const auto of_n2 = [&] {
    CapturedSnapshot saved = Save();
    saved.manifest.node = "n2";
    EXPECT_TRUE(local_.WriteMetadata(saved.name, saved.manifest.Encode()).ok());
    return saved.name;
  };
  const std::string theirs = of_n2(), theirs_lost = of_n2();
  const auto claim = in_flight_.TryClaim(going_on);
  // Of what is not in the directory the name says little: also another cluster may have a node n1.
  const std::string lost = "etcd-snapshot-n1-1", fresh = "etcd-snapshot-n1-2";
  const absl::Time now = clock_.Now(), old = now - absl::Hours(25);
  bucket_.unfinished = {{ours, now},
                        {theirs, now},
                        {theirs_lost, old},
                        {going_on, old},
                        {lost, old},
                        {fresh, now},
                        {"their.iso", old},
                        {"etcd-snapshot-n2-1", old},
                        {"etcd-snapshot-n1-3", absl::InfiniteFuture()}};
  ASSERT_TRUE(RemoveUnfinishedUploads(place_, in_flight_, now).ok());
  EXPECT_FALSE(bucket_.unfinished.contains(ours));
  EXPECT_FALSE(bucket_.unfinished.contains(lost));
  EXPECT_FALSE(bucket_.unfinished.contains(theirs_lost));
  EXPECT_TRUE(bucket_.unfinished.contains(theirs));
  EXPECT_EQ(bucket_.unfinished.size(), 6u) << "the others stay";
}

TEST_F(UploadTest, PruneInS3GoesOnAfterOneThatCannotBeRemoved) {
  Strings names;
  for (int i = 0; i < 4; ++i) {
    const CapturedSnapshot saved = Save();
    ASSERT_TRUE(Upload(saved).ok());
    names.push_back(saved.name);
  }
  FailAt("remove " + names[0], PermissionDeniedError("locked"));
  const PruneReport report = PruneS3(place_, "etcd-snapshot", 2, absl::InfiniteFuture());
  EXPECT_TRUE(absl::IsPermissionDenied(report.status));
  EXPECT_THAT(report.deleted, ElementsAre(names[1]));
  EXPECT_EQ(report.considered.at(0).count, 4);
  EXPECT_EQ(ListSnapshots(place_)->records.size(), 7u) << "four here, three there";
}

TEST_F(UploadTest, ListsAndDeletesInBothPlaces) {
  const CapturedSnapshot saved = Save();
  ASSERT_TRUE(Upload(saved).ok());
  bucket_.objects["theirs"] = {.content = "x"};
  s3_.options.bucket = "bucket";
  s3_.options.secret_key = Secret("hidden");
  const auto records = ListSnapshots(place_)->records;
  ASSERT_EQ(records.size(), 3u);
  const auto copy = std::find_if(records.begin(), records.end(), [&](const SnapshotRecord& r) {
    return r.s3.has_value() && r.name == saved.name;
  });
  EXPECT_EQ(copy->node_name, "n1");
  EXPECT_EQ(copy->cluster_id, "c1");
  EXPECT_EQ(copy->token_hash, "t");
  EXPECT_TRUE(copy->s3->secret_key.empty());
  const auto foreign = std::find_if(records.begin(), records.end(),
                                    [](const SnapshotRecord& r) { return r.name == "theirs"; });
  EXPECT_EQ(foreign->node_name, "s3");

  DeleteReport report = DeleteSnapshots(place_, {saved.name, "theirs", "nowhere"});
  EXPECT_TRUE(report.status.ok());
  EXPECT_THAT(report.deleted, ElementsAre(saved.name, saved.name, "theirs"));
  EXPECT_THAT(report.not_found, ElementsAre("nowhere"));
  EXPECT_THAT(bucket_.Names(), IsEmpty());
}

TEST_F(UploadTest, AnotherClustersCopyIsNotDeletedButOursInTheDirectoryIs) {
  const CapturedSnapshot saved = Save(), of_n2 = Save();
  for (const CapturedSnapshot& s : {saved, of_n2}) ASSERT_TRUE(Upload(s).ok());
  bucket_.objects.at(saved.name).attributes[kClusterIdAttribute] = "c2";
  bucket_.objects.at(of_n2.name).attributes[kNodeNameAttribute] = "n2";
  const DeleteReport report = DeleteSnapshots(place_, {saved.name, of_n2.name});
  EXPECT_EQ(report.status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(report.status), HasSubstr("it belongs to another cluster (c2, node n1)"));
  EXPECT_THAT(report.deleted, ElementsAre(saved.name, of_n2.name, of_n2.name));
  EXPECT_THAT(bucket_.Names(), ElementsAre(saved.name));
  // A host where no server has been deletes whatever it is told to.
  place_.cluster_id.clear();
  EXPECT_TRUE(DeleteSnapshots(place_, {saved.name}).status.ok());
  EXPECT_THAT(bucket_.Names(), IsEmpty());
}

TEST_F(UploadTest, ADirectoryIsListedAlthoughS3IsNot) {
  Save();
  FailAt("list");
  const SnapshotList list = ListSnapshots(place_).value();
  EXPECT_EQ(list.records.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(list.s3_status));
}

}  // namespace
}  // namespace holdfast
