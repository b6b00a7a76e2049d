#include "restore/swap_dir.h"

#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/fault_fs.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using testing::FaultFs;
using testing::Loss;
using testing::MemoryFs;

constexpr char kDb[] = "/db";
const absl::Time kNow = absl::FromUnixSeconds(1000);

// A data directory is told by the content of one file in it.
void WriteData(FileSystem& fs, const std::string& directory, std::string_view content) {
  ASSERT_TRUE(WriteFileAtomically(fs, directory + "/data", content, 0600).ok());
}

std::string DataOf(FileSystem& fs, const std::string& directory) {
  return ReadFile(fs, directory + "/data", 100).value_or("none");
}

std::vector<std::string> Names(FileSystem& fs) {
  std::vector<std::string> out;
  const auto entries = fs.List(kDb).value();
  for (const auto& entry : entries) out.push_back(entry.name);
  return out;
}

std::unique_ptr<MemoryFs> DbWith(std::string_view live_data) {
  auto fs = std::make_unique<MemoryFs>();
  EXPECT_TRUE(fs->MakeDirectory(kDb, 0700).ok());
  if (!live_data.empty()) {
    EXPECT_TRUE(fs->MakeDirectory("/db/etcd", 0700).ok());
    WriteData(*fs, "/db/etcd", live_data);
  }
  fs->SyncAll();
  return fs;
}

Status Restore(FileSystem& fs, std::string_view data) {
  ASSIGN_OR_RETURN(DirectorySwap swap, DirectorySwap::Begin(fs, kDb, kNow, "/snapshot"));
  RETURN_IF_ERROR(WriteFileAtomically(fs, swap.staging() + "/data", data, 0600));
  RETURN_IF_ERROR(swap.Swap());
  return swap.Finish();
}

TEST(DirectorySwap, NewDataBecomeLiveAndTheOldAreKept) {
  auto fs = DbWith("old");
  ASSERT_TRUE(Restore(*fs, "new").ok());
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd", "etcd-old-1000"}));
  EXPECT_EQ(DataOf(*fs, "/db/etcd"), "new");
  EXPECT_EQ(DataOf(*fs, "/db/etcd-old-1000"), "old");
  EXPECT_FALSE(Exists(*fs, "/db/etcd/restore.json").value());
}

TEST(DirectorySwap, WithoutExchangeItIsTheSame) {
  auto fs = DbWith("old");
  fs->can_exchange = false;
  ASSERT_TRUE(Restore(*fs, "new").ok());
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd", "etcd-old-1000"}));
  EXPECT_EQ(DataOf(*fs, "/db/etcd"), "new");
}

TEST(DirectorySwap, TwoInOneSecondTakeTheNextFreeSecond) {
  auto fs = DbWith("1");
  ASSERT_TRUE(Restore(*fs, "2").ok());
  ASSERT_TRUE(Restore(*fs, "3").ok());
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd", "etcd-old-1000", "etcd-old-1001"}));
  EXPECT_EQ(DataOf(*fs, "/db/etcd-old-1001"), "2");
}

TEST(DirectorySwap, ASnapshotsPathMayBeAnyBytes) {
  auto fs = DbWith("old");
  auto swap = DirectorySwap::Begin(*fs, kDb, kNow, "/caf\xe9").value();
  WriteData(*fs, swap.staging(), "new");
  ASSERT_TRUE(swap.Swap().ok());
  EXPECT_EQ(RecoverSwap(*fs, kDb, false).value()->snapshot, "/caf\xef\xbf\xbd");
}

TEST(DirectorySwap, AbandonedBeforeTheSwapLeavesNothing) {
  auto fs = DbWith("old");
  { const auto swap = DirectorySwap::Begin(*fs, kDb, kNow, "/s").value(); }
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd"}));
}

TEST(DirectorySwap, RollBackPutsTheOldDataBack) {
  for (std::string_view before : {"old", ""}) {
    auto fs = DbWith(before);
    auto swap = DirectorySwap::Begin(*fs, kDb, kNow, "/s").value();
    WriteData(*fs, swap.staging(), "new");
    ASSERT_TRUE(swap.Swap().ok());
    ASSERT_TRUE(swap.RollBack().ok());
    if (before.empty()) {
      EXPECT_TRUE(Names(*fs).empty());
    } else {
      EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd"}));
      EXPECT_EQ(DataOf(*fs, "/db/etcd"), "old");
    }
  }
}

// The power is cut before the n-th change, for every n; whatever survives, after recovery one whole directory is live, it
// is the old or the new one, and the old one is never lost.
void CutEverywhere(bool can_exchange, bool roll_back) {
  for (int n = 1;; ++n) {
    auto disk = DbWith("old");
    disk->can_exchange = can_exchange;
    FaultFs faulty(*disk);
    faulty.FailAt(n, UnavailableError("power cut"), /*for_ever=*/true);
    {
      auto swap = DirectorySwap::Begin(faulty, kDb, kNow, "/s");
      if (swap.ok() && WriteFileAtomically(faulty, swap->staging() + "/data", "new", 0600).ok() &&
          swap->Swap().ok()) {
        (void)(roll_back ? swap->RollBack() : swap->Finish());
      }
    }
    for (Loss loss : {Loss::kNothing, Loss::kUnsyncedData, Loss::kUnsynced}) {
      auto fs = disk->Crash(loss);
      fs->can_exchange = can_exchange;
      const auto recovered = RecoverSwap(*fs, kDb, /*starting_empty_is_fine=*/false);
      ASSERT_TRUE(recovered.ok()) << n << ": " << recovered.status();
      const std::string live = DataOf(*fs, "/db/etcd");
      EXPECT_TRUE(live == "old" || live == "new") << n << " " << live;
      if (live == "new") {
        EXPECT_EQ(DataOf(*fs, "/db/etcd-old-1000"), "old") << n;
      }
      const std::size_t expected = live == "new" ? 2 : 1;
      EXPECT_EQ(Names(*fs).size(), expected) << n;
      if (recovered->has_value()) {
        EXPECT_EQ(live, "new") << n;
        EXPECT_EQ((*recovered)->old, "/db/etcd-old-1000");
        ASSERT_TRUE(FinishInterruptedRestore(*fs, kDb).ok());
      }
      EXPECT_FALSE(RecoverSwap(*fs, kDb, false)->has_value()) << n;
    }
    if (!faulty.failed()) break;
  }
}

TEST(DirectorySwap, PowerCutAnywhereLeavesOneWholeDirectory) {
  CutEverywhere(/*can_exchange=*/true, /*roll_back=*/false);
}
TEST(DirectorySwap, PowerCutAnywhereWithoutExchange) {
  CutEverywhere(/*can_exchange=*/false, /*roll_back=*/false);
}
TEST(DirectorySwap, PowerCutAnywhereInARollBack) {
  CutEverywhere(/*can_exchange=*/true, /*roll_back=*/true);
}

// A restore that put its data in place, but was killed before it was finished; a second one that is rolled back, or cut
// while it is: whatever is live then, the restore that brought it still has to be finished.
TEST(DirectorySwap, ARolledBackRestoreLeavesAnEarlierUnfinishedOneToBeFinished) {
  for (int n = 0;; ++n) {  // 0: no cut
    auto disk = DbWith("old");
    {
      auto first = DirectorySwap::Begin(*disk, kDb, kNow, "/first").value();
      WriteData(*disk, first.staging(), "first");
      ASSERT_TRUE(first.Swap().ok());
    }
    disk->SyncAll();
    FaultFs faulty(*disk);
    faulty.FailAt(n, UnavailableError("power cut"), /*for_ever=*/true);
    {
      auto second = DirectorySwap::Begin(faulty, kDb, kNow, "/second");
      if (second.ok() &&
          WriteFileAtomically(faulty, second->staging() + "/data", "second", 0600).ok() &&
          second->Swap().ok()) {
        (void)second->RollBack();
      }
    }
    for (Loss loss : {Loss::kNothing, Loss::kUnsyncedData, Loss::kUnsynced}) {
      auto fs = disk->Crash(loss);
      const auto recovered = RecoverSwap(*fs, kDb, /*starting_empty_is_fine=*/false);
      ASSERT_TRUE(recovered.ok()) << n << ": " << recovered.status();
      ASSERT_TRUE(recovered->has_value()) << n;
      EXPECT_EQ("/" + DataOf(*fs, "/db/etcd"), (*recovered)->snapshot) << n;
      if (n == 0) {
        EXPECT_EQ((*recovered)->snapshot, "/first");
      }
    }
    if (n > 0 && !faulty.failed()) break;
  }
}

TEST(DirectorySwap, AMountPointIsToldAndNothingIsChanged) {
  auto fs = DbWith("old");
  fs->busy = "/db/etcd";
  auto swap = std::make_unique<DirectorySwap>(DirectorySwap::Begin(*fs, kDb, kNow, "/s").value());
  const Status status = swap->Swap();
  EXPECT_EQ(MessageOf(status),
            "/db/etcd is a mount point: the restored data cannot be put in its place");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  swap.reset();
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"etcd"}));
  EXPECT_EQ(DataOf(*fs, "/db/etcd"), "old");
}

TEST(DirectorySwap, AnErrorAnywhereLeavesTheOldDataLive) {
  for (bool can_exchange : {true, false}) {
    for (int n = 1;; ++n) {
      auto disk = DbWith("old");
      disk->can_exchange = can_exchange;
      FaultFs faulty(*disk);
      faulty.FailAt(n, DataLossError("i/o error"), /*for_ever=*/false);
      Status status;
      bool swapped = false;
      {
        auto swap = DirectorySwap::Begin(faulty, kDb, kNow, "/s");
        status = swap.status();
        if (status.ok())
          status = WriteFileAtomically(faulty, swap->staging() + "/data", "new", 0600);
        if (status.ok()) {
          status = swap->Swap();
          swapped = status.ok();
        }
      }
      if (!faulty.failed()) break;
      EXPECT_EQ(DataOf(*disk, "/db/etcd"), swapped ? "new" : "old") << n << " " << status;
    }
  }
}

TEST(RecoverSwap, RefusesToBeginAnEmptyClusterBesideOldData) {
  MemoryFs fs;
  ASSERT_TRUE(MakeDirectories(fs, "/db/etcd-old-900", 0700).ok());
  const Status status = RecoverSwap(fs, kDb, false).status();
  EXPECT_EQ(
      MessageOf(status),
      "there is no /db/etcd, but /db/etcd-old-900: starting now would begin an empty cluster");
  EXPECT_NE(HintOf(status).find("mv /db/etcd-old-900 /db/etcd"), std::string::npos);
  EXPECT_TRUE(RecoverSwap(fs, kDb, true).ok());
}

TEST(RecoverSwap, RefusesToBeginAnEmptyClusterAfterAnInterruptedFirstRestore) {
  MemoryFs fs;
  ASSERT_TRUE(MakeDirectories(fs, "/db/etcd-new-900", 0700).ok());
  EXPECT_EQ(RecoverSwap(fs, kDb, false).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(RecoverSwap(fs, kDb, true).ok());
  EXPECT_TRUE(Names(fs).empty());
}

TEST(RecoverSwap, LeavesAloneWhatItDoesNotKnow) {
  auto fs = DbWith("live");
  ASSERT_TRUE(fs->MakeDirectory("/db/etcd-new-5", 0700).ok());
  WriteData(*fs, "/db/etcd-new-5", "somebody's");
  ASSERT_TRUE(RecoverSwap(*fs, kDb, false).ok());
  EXPECT_EQ(DataOf(*fs, "/db/etcd-new-5"), "somebody's");
}

TEST(RecoverSwap, ALinkToAnotherDiskIsALiveDirectory) {
  MemoryFs fs;
  ASSERT_TRUE(MakeDirectories(fs, "/db/etcd-old-900", 0700).ok());
  ASSERT_TRUE(fs.MakeSymlink("/disk", "/db/etcd").ok());
  EXPECT_TRUE(RecoverSwap(fs, kDb, false).ok());
}

TEST(RecoverSwap, AnEmptyOrMissingDirectoryIsFine) {
  MemoryFs fs;
  EXPECT_FALSE(RecoverSwap(fs, kDb, false)->has_value());
  ASSERT_TRUE(fs.MakeDirectory(kDb, 0700).ok());
  EXPECT_FALSE(RecoverSwap(fs, kDb, false)->has_value());
}

}  // namespace
}  // namespace holdfast
