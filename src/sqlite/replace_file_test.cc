#include "sqlite/replace_file.h"

#include <gtest/gtest.h>

#include "testing/fault_fs.h"
#include "testing/memory_fs.h"

namespace holdfast::sqlite {
namespace {

using holdfast::testing::FaultFs;
using holdfast::testing::Loss;
using holdfast::testing::MemoryFs;

constexpr char kPath[] = "/db/state.db", kOld[] = "/db/state.db-old-1000";
const absl::Time kNow = absl::FromUnixSeconds(1000);

void Write(FileSystem& fs, const std::string& path, std::string_view content) {
  ASSERT_TRUE(WriteFileAtomically(fs, path, content, 0600).ok());
}

std::string ContentOf(FileSystem& fs, const std::string& path) {
  return ReadFile(fs, path, 100).value_or("none");
}

std::vector<std::string> Names(FileSystem& fs) {
  std::vector<std::string> out;
  const auto entries = fs.List("/db").value();
  for (const auto& entry : entries) out.push_back(entry.name);
  return out;
}

// A database that SQLite could not fold: its log is still beside it.
std::unique_ptr<MemoryFs> DiskWith(bool database, bool log) {
  auto fs = std::make_unique<MemoryFs>();
  EXPECT_TRUE(fs->MakeDirectory("/db", 0700).ok());
  if (database) Write(*fs, kPath, "old");
  if (log) Write(*fs, std::string(kPath) + "-wal", "old log");
  fs->SyncAll();
  return fs;
}

StatusOr<std::string> Replace(FileSystem& fs) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(fs, kPath, 0600));
  RETURN_IF_ERROR(file.file().WriteAt(0, BytesOf("new")));
  return ReplaceDatabase(fs, kPath, std::move(file), kNow);
}

TEST(ReplaceDatabase, TheOldOneIsKeptWithWhatBelongsToIt) {
  auto fs = DiskWith(true, true);
  Write(*fs, std::string(kPath) + "-shm", "");
  EXPECT_EQ(Replace(*fs).value(), kOld);
  EXPECT_EQ(Names(*fs),
            (std::vector<std::string>{"state.db", "state.db-old-1000", "state.db-old-1000-shm",
                                      "state.db-old-1000-wal"}));
  EXPECT_EQ(ContentOf(*fs, kPath), "new");
  EXPECT_EQ(ContentOf(*fs, kOld), "old");
}

TEST(ReplaceDatabase, WithoutAnOldOneThereIsNothingToKeep) {
  auto fs = DiskWith(false, false);
  EXPECT_EQ(Replace(*fs).value(), "");
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"state.db"}));
}

TEST(ReplaceDatabase, TwoInOneSecondTakeTheNextFreeSecond) {
  auto fs = DiskWith(true, false);
  ASSERT_TRUE(Replace(*fs).ok());
  EXPECT_EQ(Replace(*fs).value(), "/db/state.db-old-1001");
  EXPECT_EQ(ContentOf(*fs, kOld), "old");
}

TEST(ReplaceDatabase, ALogWithoutItsDatabaseIsSetAsideToo) {
  auto fs = DiskWith(false, true);
  ASSERT_TRUE(Replace(*fs).ok());
  EXPECT_EQ(Names(*fs), (std::vector<std::string>{"state.db", "state.db-old-1000-wal"}));
}

// What must hold whatever happened: a whole database, old or new; never a new one with an old log; the old one and its log
// somewhere.
void ExpectSafe(FileSystem& fs, const std::string& when) {
  SCOPED_TRACE(when);
  const std::string live = ContentOf(fs, kPath), wal = std::string(kPath) + "-wal";
  EXPECT_TRUE(live == "old" || live == "new") << live;
  if (live == "new") {
    EXPECT_EQ(ContentOf(fs, wal), "none");
    EXPECT_EQ(ContentOf(fs, kOld), "old");
  }
  EXPECT_TRUE(ContentOf(fs, wal) == "old log" ||
              ContentOf(fs, std::string(kOld) + "-wal") == "old log");
}

TEST(ReplaceDatabase, APowerCutAnywhereLeavesOneWholeDatabase) {
  for (int n = 1;; ++n) {
    auto disk = DiskWith(true, true);
    FaultFs fs(*disk);
    fs.FailAt(n, UnavailableError("power"), /*for_ever=*/true);
    const bool done = Replace(fs).ok();
    for (const Loss loss : {Loss::kNothing, Loss::kUnsyncedData, Loss::kUnsynced}) {
      auto after = disk->Crash(loss);
      ExpectSafe(*after, fmt::format("cut at {}, loss {}", n, static_cast<int>(loss)));
      if (done) {
        EXPECT_EQ(ContentOf(*after, kPath), "new");
      }
    }
    if (done) {
      EXPECT_GT(n, 6);
      break;
    }
  }
}

TEST(ReplaceDatabase, AFailureAnywhereLeavesEverythingAsItWasOrIsComplete) {
  for (int n = 1;; ++n) {
    auto disk = DiskWith(true, true);
    const auto before = Names(*disk);
    FaultFs fs(*disk);
    fs.FailAt(n, ResourceExhaustedError("disk full"), /*for_ever=*/false);
    const auto replaced = Replace(fs);
    if (!fs.failed()) break;
    ExpectSafe(*disk, fmt::format("failure at {}", n));
    ASSERT_FALSE(replaced.ok());
    if (ContentOf(*disk, kPath) == "old") {
      EXPECT_EQ(Names(*disk), before) << n;
    } else {
      EXPECT_NE(MessageOf(replaced.status()).find("is in place"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace holdfast::sqlite
