#include "ops/snapshots.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "os/atomic_file.h"
#include "os/system_clock.h"
#include "testing/fake_etcd.h"
#include "testing/fake_etcd_datastore.h"
#include "testing/fault_fs.h"
#include "testing/mvcc_builder.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::FakeEtcd;
using testing::FaultFs;
using Strings = std::vector<std::string>;

// Time stands still, so that saves meet in one second.
class StoppedClock final : public Clock {
 public:
  absl::Time Now() override { return absl::FromUnixSeconds(1'000'000); }
  absl::Duration Steady() override { return SystemClock().Steady(); }
  bool Sleep(absl::Duration length, std::stop_token stop) override {
    return SystemClock().Sleep(length, stop);
  }
};

class SnapshotsTest : public ::testing::Test {
 protected:
  SnapshotsTest() { etcd_.snapshot = testing::WithDigest(testing::MvccBuilder().bolt.Build()); }

  SnapshotPlace Place(FileSystem& fs) {
    return {.fs = fs, .directory = dir_ / "db/snapshots", .make_if_missing = true, .node = "n1"};
  }
  StatusOr<CapturedSnapshot> Save(const std::string& base = "on-demand",
                                  Compression compression = Compression::kNone) {
    return SaveSnapshot(place_, *testing::DatastoreOf(etcd_), clock_, one_,
                        {.base = base, .compression = compression, .token_hash = "h"});
  }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(MakeDirectories(fs_, place_.directory, 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(fs_, JoinPath(place_.directory, name), text, 0600).ok());
  }
  Strings Names() {
    Strings out;
    const auto records = ListSnapshots(place_)->records;
    for (const SnapshotRecord& record : records) out.push_back(record.name);
    return out;
  }
  Strings Metadata() {
    Strings out;
    const auto entries = fs_.List(dir_ / "db/.metadata");
    if (entries.ok()) {
      for (const DirectoryEntry& entry : *entries) out.push_back(entry.name);
    }
    return out;
  }

  FileSystem& fs_ = PosixFileSystem();
  testing::TempDir dir_;
  SnapshotPlace place_ = Place(fs_);
  StoppedClock clock_;
  Mutex one_;
  FakeEtcd etcd_;
};

TEST_F(SnapshotsTest, SavedOnesAreListedWithWhatIsKnown) {
  ASSERT_TRUE(Save().ok());
  ASSERT_TRUE(Save("other", Compression::kZstd).ok());
  Write("theirs.db", "x");
  const auto records = ListSnapshots(place_)->records;
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].name, "on-demand-n1-1000000");
  EXPECT_EQ(records[0].location, "file://" + (dir_ / "db/snapshots/on-demand-n1-1000000"));
  EXPECT_EQ(records[0].bytes, etcd_.snapshot.size());
  EXPECT_EQ(records[0].token_hash, "h");
  EXPECT_EQ(records[0].metadata.at("holdfast-proof"), "digest");
  EXPECT_EQ(records[1].name, "other-n1-1000000.zst");
  EXPECT_EQ(records[2].name, "theirs.db");
  EXPECT_TRUE(records[2].metadata.empty());
}

TEST_F(SnapshotsTest, TwoSavesAtOnceTheSecondIsRefusedAndTheFirstGoesOn) {
  std::mutex mutex;
  std::condition_variable changed;
  bool reading = false, refused = false;
  etcd_.before_read = [&] {
    std::unique_lock lock(mutex);
    reading = true;
    changed.notify_all();
    changed.wait(lock, [&] { return refused; });
  };
  StatusOr<CapturedSnapshot> first = CancelledError("not done");
  std::jthread saving([&] { first = Save(); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return reading; });
  }
  const Status second = Save().status();
  EXPECT_TRUE(absl::IsAborted(second)) << second;
  EXPECT_EQ(MessageOf(second), "snapshot save already in progress");
  EXPECT_TRUE(Names().empty()) << "what is being written is not listed";
  {
    const std::scoped_lock lock(mutex);
    refused = true;
    changed.notify_all();
  }
  saving.join();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Names(), Strings{"on-demand-n1-1000000"});
  EXPECT_TRUE(Save().ok()) << "after the first one ended";
}

TEST_F(SnapshotsTest, ALearnerIsNotAsked) {
  etcd_.status.is_learner = true;
  etcd_.before_read = [] { FAIL() << "the stream was read"; };
  const Status status = Save().status();
  EXPECT_EQ(MessageOf(status), "Unable to take snapshot: not supported for learner");
}

TEST_F(SnapshotsTest, ADirectoryOfOnesOwnMustBeThere) {
  place_.make_if_missing = false;
  const Status missing = Save().status();
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  EXPECT_EQ(MessageOf(missing).find("failed to get etcd-snapshot-dir: stat "), 0u) << missing;
  EXPECT_FALSE(ListSnapshots(place_).ok());
  place_.directory = dir_ / "file";
  ASSERT_TRUE(WriteFileAtomically(fs_, place_.directory, "", 0600).ok());
  EXPECT_EQ(MessageOf(Save().status()), place_.directory + " is not a directory");
}

TEST_F(SnapshotsTest, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* bad : {"", "../x", "a/b", ".hidden", "a\nb"}) {
    EXPECT_EQ(Save(bad).status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(PruneDirectory(place_, bad, 1, absl::InfiniteFuture()).status.code(),
              StatusCode::kInvalidArgument)
        << bad;
  }
  ASSERT_TRUE(Save().ok());
  const DeleteReport report = DeleteSnapshots(place_, {"on-demand-n1-1000000", "../x"});
  EXPECT_EQ(report.status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Names().size(), 1u) << "nothing is deleted if one of the names is none";
}

TEST_F(SnapshotsTest, PruneKeepsTheNewestOfOneBase) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Save().ok());
  ASSERT_TRUE(Save("other").ok());
  const PruneReport report = PruneDirectory(place_, "on-demand", 2, absl::InfiniteFuture());
  EXPECT_TRUE(report.status.ok());
  EXPECT_EQ(report.considered.at(0).count, 4);
  EXPECT_EQ(report.deleted, (Strings{"on-demand-n1-1000000", "on-demand-n1-1000001"}));
  const Strings left = {"on-demand-n1-1000002", "on-demand-n1-1000003", "other-n1-1000000"};
  EXPECT_EQ(Metadata(), left) << "metadata go with their snapshot";
  EXPECT_EQ(Names().size(), 3u);
  EXPECT_TRUE(PruneDirectory(place_, "on-demand", 2, absl::InfiniteFuture()).deleted.empty());
  EXPECT_TRUE(PruneDirectory(place_, "on-demand", 0, absl::InfiniteFuture()).deleted.empty());
}

TEST_F(SnapshotsTest, PruneStopsAtAnErrorAndSaysWhatItDid) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Save().ok());
  FaultFs faulty(fs_);
  faulty.FailAt(4, DataLossError("i/o error"),
                /*for_ever=*/false);  // snapshot, metadata, directory; then the next snapshot
  const PruneReport report = PruneDirectory(Place(faulty), "on-demand", 1, absl::InfiniteFuture());
  EXPECT_TRUE(absl::IsDataLoss(report.status)) << report.status;
  EXPECT_EQ(report.deleted, Strings{"on-demand-n1-1000000"});
  EXPECT_EQ(Names().size(), 3u);
}

TEST_F(SnapshotsTest, DeleteTellsWhatItDidNotFindAndTriesTheRest) {
  ASSERT_TRUE(Save().ok());
  ASSERT_TRUE(Save().ok());
  FaultFs faulty(fs_);
  faulty.FailAt(1, DataLossError("i/o error"), /*for_ever=*/false);
  const DeleteReport report =
      DeleteSnapshots(Place(faulty), {"on-demand-n1-1000000", "none-n1-5", "on-demand-n1-1000001"});
  EXPECT_TRUE(absl::IsDataLoss(report.status)) << report.status;
  EXPECT_EQ(report.not_found, Strings{"none-n1-5"});
  EXPECT_EQ(report.deleted, Strings{"on-demand-n1-1000001"});
  EXPECT_EQ(Names(), Strings{"on-demand-n1-1000000"});
}

TEST_F(SnapshotsTest, AnInterruptedRemovalCanBeRepeated) {
  for (int n = 1;; ++n) {
    ASSERT_TRUE(Save().ok());
    FaultFs faulty(fs_);
    faulty.FailAt(n, UnavailableError("killed"), /*for_ever=*/true);
    (void)DeleteSnapshots(Place(faulty), {"on-demand-n1-1000000"});
    const Strings names = Names();
    EXPECT_TRUE(names.empty() || names == Strings{"on-demand-n1-1000000"});
    const DeleteReport again = DeleteSnapshots(place_, {"on-demand-n1-1000000"});
    EXPECT_TRUE(again.status.ok());
    EXPECT_TRUE(Names().empty());
    EXPECT_TRUE(Metadata().empty()) << "no metadata are left of what is gone";
    if (!faulty.failed()) break;
  }
}

TEST_F(SnapshotsTest, CleaningRemovesOnlyWhatIsUnfinished) {
  ASSERT_TRUE(Save().ok());
  Write("theirs.db", "x");
  for (const char* leftover :
       {"db/snapshots/on-demand-n1-5.part", "db/.metadata/on-demand-n1-5.part"}) {
    ASSERT_TRUE(fs_.Create(dir_ / leftover, 0600).ok());
  }
  const Strings before = Names();
  EXPECT_EQ(before.size(), 2u) << "unfinished ones are not listed";
  ASSERT_TRUE(CleanSnapshotPlace(place_).ok());
  EXPECT_EQ(Names(), before);
  EXPECT_EQ(fs_.List(place_.directory)->size(), 2u);
  EXPECT_EQ(Metadata(), Strings{"on-demand-n1-1000000"});
}

TEST_F(SnapshotsTest, AMissingDirectoryOfOursIsEmpty) {
  EXPECT_TRUE(ListSnapshots(place_)->records.empty());
  EXPECT_TRUE(PruneDirectory(place_, "on-demand", 1, absl::InfiniteFuture()).status.ok());
  EXPECT_EQ(DeleteSnapshots(place_, {"a"}).not_found, Strings{"a"});
  EXPECT_TRUE(CleanSnapshotPlace(place_).ok());
}

}  // namespace
}  // namespace holdfast
