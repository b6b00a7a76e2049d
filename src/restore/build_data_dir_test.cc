#include "restore/build_data_dir.h"

#include <gtest/gtest.h>

#include <map>

#include "formats/bbolt/patch.h"
#include "formats/member/raft_files.h"
#include "formats/mvcc/revision.h"
#include "os/atomic_file.h"
#include "stream/memory.h"
#include "stream/zip_sink.h"
#include "stream/zstd_sink.h"
#include "testing/fault_fs.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::FaultFs;
using testing::Loss;
using testing::MemoryFs;
using testing::WithDigest;

constexpr char kDir[] = "/out", kDb[] = "/out/member/snap/db",
               kWal[] = "/out/member/wal/0000000000000000-0000000000000000.wal";

Membership OneMember() { return ParseInitialCluster("n1=http://10.0.0.1:2380", "").value(); }

// Revisions 2 to 41, the log in a tree of its own.
testing::MvccBuilder Sample() {
  testing::MvccBuilder builder;
  for (int i = 2; i < 40; ++i) builder.Put(i, "/k" + std::to_string(i), std::string(50, 'v'));
  builder.Delete(40, "/k7");
  builder.Put(41, "/bootstrap/abc", "sealed");
  builder.bolt.ForcePages("key");
  return builder;
}

BuildOptions Options(const Membership& membership = OneMember()) {
  return {.data_dir = kDir, .membership = membership, .node = membership.members.front().id};
}

std::unique_ptr<MemoryFs> EmptyTarget() {
  auto fs = std::make_unique<MemoryFs>();
  EXPECT_TRUE(fs->MakeDirectory(kDir, 0700).ok());
  fs->SyncAll();
  return fs;
}

StatusOr<mvcc::Inspection> Build(FileSystem& fs, const std::string& snapshot,
                                 const BuildOptions& options = Options()) {
  return BuildDataDir(fs, StringAccess(snapshot, "x.db"), options);
}

std::string Read(FileSystem& fs, const std::string& path) {
  return ReadFile(fs, path, 1 << 26).value_or("none");
}

// Everything below a directory: path -> content; directories end with a slash.
std::map<std::string, std::string> Files(FileSystem& fs, const std::string& directory) {
  std::map<std::string, std::string> out;
  const auto entries = fs.List(directory).value();
  for (const DirectoryEntry& entry : entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (entry.info.kind == FileKind::kDirectory) {
      out[path + "/"] = "";
      out.merge(Files(fs, path));
    } else {
      out[path] = Read(fs, path);
    }
  }
  return out;
}

// A database read back: its structure is checked on the way.
struct Image {
  explicit Image(std::string bytes)
      : access(std::move(bytes), "built"), database(bbolt::Database::Open(access).value()) {}
  mvcc::Inspection Inspected() const { return mvcc::Inspect(database, {}).value(); }
  bbolt::Patch::Entries Bucket(const std::string& name) const {
    return bbolt::Patch::Begin(database)->ReadBucket(name).value();
  }
  StringAccess access;
  bbolt::Database database;
};

std::string Big(char last) { return std::string(7, '\0') + last; }

TEST(BuildDataDir, MakesTheDatabaseOfANewCluster) {
  auto fs = EmptyTarget();
  const std::string image = Sample().bolt.Build();
  const mvcc::Inspection found = Build(*fs, WithDigest(image)).value();
  EXPECT_EQ(found.revision, 41);
  EXPECT_EQ(found.bootstrap.at("/bootstrap/abc"), "sealed");

  const Image built(Read(*fs, kDb)), before(image);
  EXPECT_EQ(built.database.bytes(), built.access.Size().value()) << "the digest is cut off";
  EXPECT_EQ(built.Inspected().revision, 41);
  EXPECT_EQ(built.Bucket("key"), before.Bucket("key"));
  const Member member = OneMember().members.front();
  EXPECT_EQ(built.Bucket("members"),
            (bbolt::Patch::Entries{{MemberIdText(member.id), member.Json()}}));
  EXPECT_TRUE(built.Bucket("members_removed").empty());
  EXPECT_EQ(built.Bucket("meta"),
            (bbolt::Patch::Entries{{"consistent_index", Big(1)},
                                   {"term", Big(1)},
                                   {"confState", OneMember().ConfStateJson()}}));
  EXPECT_EQ(Read(*fs, kWal), EncodeFirstWal(OneMember(), member.id));
  EXPECT_EQ(Read(*fs, "/out/member/snap/0000000000000001-0000000000000001.snap"),
            EncodeRaftSnapshot(OneMember()));
}

// A snapshot on a server that cannot be trusted: what was read once is something else when it is read again.
class FarAccess final : public RandomAccess {
 public:
  FarAccess(std::string first, std::string again)
      : first_(std::move(first), "s3://b/x"), again_(std::move(again), "s3://b/x") {}
  const std::string& path() const override { return first_.path(); }
  StatusOr<std::uint64_t> Size() const override { return first_.Size(); }
  bool IsFar() const override { return true; }
  StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
    constexpr std::uint64_t kMagicBytes = 4096;  // are looked at before
    if (offset + out.size() <= kMagicBytes) return first_.ReadAt(offset, out);
    const bool again = offset < seen_;
    seen_ = std::max(seen_, offset + out.size());
    return (again ? again_ : first_).ReadAt(offset, out);
  }

 private:
  StringAccess first_, again_;
  mutable std::uint64_t seen_ = 0;
};

TEST(BuildDataDir, WhatIsFarIsReadOnceAndWhatWasVerifiedIsWhatIsThere) {
  const std::string image = Sample().bolt.Build(), good = WithDigest(image), bad(good.size(), 'x');
  auto fs = EmptyTarget();
  EXPECT_EQ(BuildDataDir(*fs, FarAccess(good, bad), Options())->revision, 41);
  EXPECT_EQ(Image(Read(*fs, kDb)).Bucket("key"), Image(image).Bucket("key"));
  std::string flipped = good;
  flipped[5000] ^= 1;
  auto untouched = EmptyTarget();
  const auto status = BuildDataDir(*untouched, FarAccess(flipped, good), Options()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(MessageOf(status).find("s3://b/x"), std::string::npos) << status;
  EXPECT_TRUE(Files(*untouched, kDir).empty());
}

TEST(BuildDataDir, AnotherSnapshotThanIsExpectedIsRefused) {
  const std::string image = Sample().bolt.Build();
  BuildOptions options = Options();
  options.expected_sha256 = HexOf(Sha256Of(BytesOf(image)));
  auto fs = EmptyTarget();
  EXPECT_TRUE(Build(*fs, WithDigest(image), options).ok());
  testing::MvccBuilder other = Sample();
  other.Put(50, "/more", "v");
  auto untouched = EmptyTarget();
  const auto status = Build(*untouched, WithDigest(other.bolt.Build()), options).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(Files(*untouched, kDir).empty());
}

TEST(BuildDataDir, WhatAnEtcdLeftIsRebuiltWhereItLies) {
  auto fs = EmptyTarget();
  const std::string image = Sample().bolt.Build();
  ASSERT_TRUE(Build(*fs, WithDigest(image)).ok());
  for (const char* path : {"/out/member/snap/00000000000000ff-00000000000000ff.snap",
                           "/out/member/snap/tmp1", "/out/member/wal/1.wal", "/out/name"})
    ASSERT_TRUE(WriteFileAtomically(*fs, path, "x", 0600).ok());

  const Membership other = ParseInitialCluster("n2=http://10.0.0.2:2380", "token").value();
  std::int64_t approved = 0;
  BuildOptions options = Options(other);
  options.approve = [&](const mvcc::Inspection& found) {
    approved = found.revision;
    return OkStatus();
  };
  EXPECT_EQ(RebuildDataDir(*fs, options)->revision, 41);
  EXPECT_EQ(approved, 41);
  const Image built(Read(*fs, kDb));
  EXPECT_EQ(built.Bucket("key"), Image(image).Bucket("key"));
  EXPECT_EQ(built.Bucket("members").size(), 1u);
  EXPECT_EQ(built.Bucket("members").begin()->second, other.members.front().Json());
  EXPECT_EQ(Read(*fs, kWal), EncodeFirstWal(other, other.members.front().id));
  EXPECT_EQ(Files(*fs, kDir).size(), 7u) << "three directories, database, WAL, raft snapshot, name";

  const auto needed = SpaceForCopyOf(*fs, "/out/member").value();
  EXPECT_EQ(needed.database, Read(*fs, kDb).size());
  EXPECT_GE(needed.wal, 2 * kWalSegmentBytes);
}

TEST(BuildDataDir, ADamagedDirectoryIsNotRebuilt) {
  auto fs = EmptyTarget();
  ASSERT_TRUE(Build(*fs, WithDigest(Sample().bolt.Build())).ok());
  const std::string before = Read(*fs, kWal);
  ASSERT_TRUE(WriteFileAtomically(*fs, kDb, "rubbish", 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(RebuildDataDir(*fs, Options()).status()));
  EXPECT_EQ(Read(*fs, kWal), before);
}

TEST(BuildDataDir, OnRealFilesTheModesAreEtcdsAndTheWalIsReserved) {
  FileSystem& fs = PosixFileSystem();
  const testing::TempDir dir;
  BuildOptions options = Options();
  options.data_dir = dir.path();
  ASSERT_TRUE(Build(fs, WithDigest(Sample().bolt.Build()), options).ok());
  for (const char* directory : {"member", "member/snap", "member/wal"})
    EXPECT_EQ(fs.Stat(dir / directory)->mode, 0700u) << directory;
  for (const char* file : {"member/snap/db", "member/wal/0000000000000000-0000000000000000.wal"}) {
    EXPECT_EQ(fs.Stat(dir / file)->mode, 0600u) << file;
  }
  EXPECT_EQ(fs.Stat(dir / "member/wal/0000000000000000-0000000000000000.wal")->size_bytes,
            kWalSegmentBytes);
  EXPECT_EQ(Image(Read(fs, dir / "member/snap/db")).Inspected().revision, 41);
}

TEST(BuildDataDir, EveryMemberGetsTheSameDatabaseAndItsOwnWal) {
  const Membership three =
      ParseInitialCluster("a=http://h1:2380,b=http://h2:2380,c=http://h3:2380", "token").value();
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  std::string database;
  for (const Member& member : three.members) {
    auto fs = EmptyTarget();
    BuildOptions options = Options(three);
    options.node = member.id;
    ASSERT_TRUE(Build(*fs, snapshot, options).ok());
    if (database.empty()) database = Read(*fs, kDb);
    EXPECT_EQ(Read(*fs, kDb), database);
    EXPECT_EQ(Read(*fs, kWal), EncodeFirstWal(three, member.id));
  }
  EXPECT_EQ(Image(database).Bucket("meta").at("consistent_index"), Big(3));
  EXPECT_EQ(Image(database).Bucket("members").size(), 3u);
}

TEST(BuildDataDir, CompressedSnapshotsGiveTheSame) {
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  StringSink zip, zstd;
  ZipSink zip_sink(zip, {.entry_name = "s"});
  ZstdSink zstd_sink(zstd, {.content_size = snapshot.size()});
  for (Sink* sink : {static_cast<Sink*>(&zip_sink), static_cast<Sink*>(&zstd_sink)}) {
    ASSERT_TRUE(sink->Write(BytesOf(snapshot)).ok() && sink->Finish().ok());
  }
  auto plain = EmptyTarget();
  ASSERT_TRUE(Build(*plain, snapshot).ok());
  for (const std::string& packed : {zip.text(), zstd.text()}) {
    auto fs = EmptyTarget();
    ASSERT_TRUE(Build(*fs, packed).ok());
    EXPECT_EQ(Files(*fs, "/"), Files(*plain, "/"));
  }
}

TEST(BuildDataDir, AFlippedByteAnywhereIsRefusedAndNothingIsLeft) {
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  for (std::size_t i = 0; i < snapshot.size(); i += 97) {
    std::string damaged = snapshot;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    auto fs = EmptyTarget();
    BuildOptions options = Options();
    options.approve = [](const mvcc::Inspection&) -> Status {
      return InternalError("asked about a damaged snapshot");
    };
    const Status status = Build(*fs, damaged, options).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << i << " " << status;
    EXPECT_NE(MessageOf(status).find("x.db: expected sha256 ["), std::string::npos) << status;
    EXPECT_TRUE(Files(*fs, kDir).empty()) << i;
  }
}

TEST(BuildDataDir, ATruncatedSnapshotIsRefusedAtAnyLength) {
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  for (std::size_t size = 0; size < snapshot.size(); size += 509) {
    for (bool skip_hash_check : {false, true}) {
      auto fs = EmptyTarget();
      BuildOptions options = Options();
      options.skip_hash_check = skip_hash_check;
      const Status status = Build(*fs, snapshot.substr(0, size), options).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << size << " " << status;
      EXPECT_TRUE(Files(*fs, kDir).empty()) << size;
    }
  }
}

TEST(BuildDataDir, ABrokenStructureUnderARightDigestIsRefused) {
  std::string image = Sample().bolt.Build();
  image[2 * 4096 + 8] = 0;  // the flags of a page that is in use
  auto fs = EmptyTarget();
  const Status status = Build(*fs, WithDigest(image)).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(Files(*fs, kDir).empty());
}

TEST(BuildDataDir, WithoutDigestItMustBeAskedFor) {
  const std::string image = Sample().bolt.Build();
  auto fs = EmptyTarget();
  const Status status = Build(*fs, image).status();
  EXPECT_NE(MessageOf(status).find("snapshot missing hash but --skip-hash-check=false"),
            std::string::npos)
      << status;
  EXPECT_TRUE(Files(*fs, kDir).empty());
  BuildOptions options = Options();
  options.skip_hash_check = true;
  ASSERT_TRUE(Build(*fs, image, options).ok());

  // A digest that is there is neither checked then nor left in the database; nor are bytes that
  // bbolt grew the file by.
  for (const std::string& tail : {std::string(32, 'x'), std::string(8192, '\0')}) {
    auto other = EmptyTarget();
    ASSERT_TRUE(Build(*other, image + tail, options).ok());
    EXPECT_EQ(Files(*other, "/"), Files(*fs, "/"));
  }
}

TEST(BuildDataDir, TheCallerMayRefuseWhatIsInIt) {
  auto fs = EmptyTarget();
  BuildOptions options = Options();
  options.approve = [](const mvcc::Inspection& found) -> Status {
    EXPECT_EQ(found.bootstrap.size(), 1u);
    return UnauthenticatedError("not mine");
  };
  EXPECT_EQ(Build(*fs, WithDigest(Sample().bolt.Build()), options).status(),
            UnauthenticatedError("not mine"));
  EXPECT_TRUE(Files(*fs, kDir).empty());
}

TEST(BuildDataDir, OptionsThatContradictAreRefusedBeforeAnythingIsMade) {
  auto disk = EmptyTarget();
  FaultFs fs(*disk);
  BuildOptions only_bump = Options(), only_mark = Options(), too_far = Options();
  only_bump.bump_revision = 1;
  only_mark.mark_compacted = true;
  too_far.bump_revision = ~std::uint64_t{0};
  too_far.mark_compacted = true;
  for (const BuildOptions& options : {only_bump, only_mark, too_far}) {
    EXPECT_EQ(Build(fs, WithDigest(Sample().bolt.Build()), options).status().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(fs.trace().empty());
}

TEST(BuildDataDir, WhatIsThereIsNotTouched) {
  for (const char* taken : {"/out/member", "/wal"}) {
    auto fs = EmptyTarget();
    ASSERT_TRUE(fs->MakeDirectory(taken, 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(*fs, std::string(taken) + "/mine", "precious", 0600).ok());
    const auto before = Files(*fs, "/");
    BuildOptions options = Options();
    options.wal_dir = "/wal";
    EXPECT_TRUE(
        absl::IsAlreadyExists(Build(*fs, WithDigest(Sample().bolt.Build()), options).status()))
        << taken;
    EXPECT_EQ(Files(*fs, "/"), before);
  }
}

TEST(BuildDataDir, TheWalMayLieElsewhere) {
  auto fs = EmptyTarget();
  BuildOptions options = Options();
  options.wal_dir = "/fast/disk/wal";
  const Status refused = Build(*fs, "garbage", options).status();
  EXPECT_FALSE(Exists(*fs, "/fast").value()) << "left behind after " << refused;
  ASSERT_TRUE(Build(*fs, WithDigest(Sample().bolt.Build()), options).ok());
  EXPECT_EQ(Read(*fs, "/fast/disk/wal/0000000000000000-0000000000000000.wal"),
            EncodeFirstWal(OneMember(), options.node));
  EXPECT_FALSE(Exists(*fs, "/out/member/wal").value());
}

TEST(BuildDataDir, BumpRaisesTheRevisionByAnInvisibleEntry) {
  auto fs = EmptyTarget();
  BuildOptions options = Options();
  options.bump_revision = 1000;
  options.mark_compacted = true;
  EXPECT_EQ(Build(*fs, WithDigest(Sample().bolt.Build()), options)->revision, 41);
  const Image built(Read(*fs, kDb));
  const mvcc::Inspection found = built.Inspected();
  EXPECT_EQ(found.revision, 1041);
  EXPECT_EQ(built.Bucket("meta").at("scheduledCompactRev"), mvcc::Revision{.main = 1041}.Encode());
  EXPECT_EQ(found.live_keys, 38u) << "37 of /k and the bootstrap data";
  EXPECT_EQ(built.Bucket("key").at(mvcc::Revision{.main = 1041}.Encode()), "");
}

TEST(BuildDataDir, BumpCountsFromTheRevisionThatEtcdWouldHave) {
  // etcd starts from the compaction if that is later than the last entry: everything after it was
  // deleted and compacted.
  testing::MvccBuilder builder = Sample();
  builder.bolt.Add("meta", "scheduledCompactRev", mvcc::Revision{.main = 60}.Encode());
  builder.bolt.Add("meta", "finishedCompactRev", mvcc::Revision{.main = 60}.Encode());
  auto fs = EmptyTarget();
  BuildOptions options = Options();
  options.bump_revision = 10;
  options.mark_compacted = true;
  ASSERT_TRUE(Build(*fs, WithDigest(builder.bolt.Build()), options).ok());
  EXPECT_EQ(Image(Read(*fs, kDb)).Inspected().revision, 70);
}

TEST(BuildDataDir, AlarmsStayUnlessToldOtherwiseAndADowngradeUnderWayGoes) {
  testing::MvccBuilder builder = Sample();
  builder.bolt.Add("alarm", "a", "");
  builder.bolt.Add("cluster", "clusterVersion", "3.5.0");
  builder.bolt.Add("cluster", "downgrade", R"({"target-version":"3.4.0","enabled":true})");
  for (bool clear : {false, true}) {
    auto fs = EmptyTarget();
    BuildOptions options = Options();
    options.clear_alarms = clear;
    ASSERT_TRUE(Build(*fs, WithDigest(builder.bolt.Build()), options).ok());
    const Image built(Read(*fs, kDb));
    EXPECT_EQ(built.Bucket("alarm").empty(), clear);
    EXPECT_EQ(built.Bucket("cluster"), (bbolt::Patch::Entries{{"clusterVersion", "3.5.0"}}));
  }
}

TEST(BuildDataDir, CancellationLeavesNothing) {
  const std::string image = Sample().bolt.Build(), snapshot = WithDigest(image);
  for (bool at_once : {true, false}) {
    auto fs = EmptyTarget();
    std::stop_source stop;
    BuildOptions options = Options();
    options.stop = stop.get_token();
    if (at_once) stop.request_stop();
    options.on_progress = [&](std::uint64_t) { stop.request_stop(); };
    EXPECT_TRUE(absl::IsCancelled(Build(*fs, snapshot, options).status()));
    EXPECT_TRUE(Files(*fs, kDir).empty());
  }
}

TEST(BuildDataDir, AnErrorAnywhereLeavesNothing) {
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  for (const Status& error :
       {ResourceExhaustedError("no space left on device"), DataLossError("i/o error")}) {
    for (int n = 1;; ++n) {
      auto disk = EmptyTarget();
      FaultFs faulty(*disk);
      faulty.FailAt(n, error, /*for_ever=*/false);
      const Status status = Build(faulty, snapshot).status();
      if (!faulty.failed()) {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_GT(n, 15);
        break;
      }
      EXPECT_EQ(status.code(), error.code()) << n << " " << status;
      EXPECT_TRUE(Files(*disk, kDir).empty()) << n;
    }
  }
}

TEST(BuildDataDir, AfterAPowerCutAWalNeverStandsBesideHalfADatabase) {
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  auto complete = EmptyTarget();
  ASSERT_TRUE(Build(*complete, snapshot).ok());
  const auto whole = Files(*complete, "/");
  for (int n = 1;; ++n) {
    auto disk = EmptyTarget();
    FaultFs faulty(*disk);
    faulty.FailAt(n, UnavailableError("power cut"), /*for_ever=*/true);
    const bool built = Build(faulty, snapshot).ok();
    for (Loss loss : {Loss::kNothing, Loss::kUnsyncedData, Loss::kUnsynced}) {
      auto after = disk->Crash(loss);
      if (built) {
        EXPECT_EQ(Files(*after, "/"), whole) << "not all was synced";
      } else if (Exists(*after, kWal).value()) {
        EXPECT_EQ(Read(*after, kDb), whole.at(kDb)) << n;
      }
    }
    if (!faulty.failed()) break;
  }
}

TEST(BuildDataDir, TheWalComesLastAndEverythingIsSynced) {
  auto disk = EmptyTarget();
  FaultFs fs(*disk);
  const std::string snapshot = WithDigest(Sample().bolt.Build());
  ASSERT_TRUE(Build(fs, snapshot).ok());
  const std::size_t size = snapshot.size(), image = size - 32,
                    wal = EncodeFirstWal(OneMember(), Options().node).size();
  const std::size_t snap = EncodeRaftSnapshot(OneMember()).size(),
                    tail = disk->Stat(kDb)->size_bytes - image;
  const std::string snap_path = "/out/member/snap/0000000000000001-0000000000000001.snap";
  const std::vector<std::string> expected = {
      "mkdir /out/member",
      "mkdir /out/member/snap",
      fmt::format("create {}", kDb),
      fmt::format("write {} 0+{}", kDb, size),
      fmt::format("sync {}", kDb),
      fmt::format("truncate {} {}", kDb, image),
      fmt::format("write {} {}+{}", kDb, image, tail),
      fmt::format("write {} 0+8192", kDb),
      fmt::format("sync {}", kDb),
      fmt::format("create {}", snap_path),
      fmt::format("reserve {} 0", snap_path),
      fmt::format("write {} 0+{}", snap_path, snap),
      fmt::format("sync {}", snap_path),
      "mkdir /out/member/wal",
      fmt::format("create {}", kWal),
      fmt::format("reserve {} 64000000", kWal),
      fmt::format("write {} 0+{}", kWal, wal),
      fmt::format("sync {}", kWal),
      "syncdir /out/member/wal",
      "syncdir /out/member",
      "syncdir /out/member/snap",
      "syncdir /out/member",
      "syncdir /out",
  };
  EXPECT_EQ(fs.trace(), expected);
}

TEST(CheckSpace, NamesWhatIsNeededAndWhatIsFree) {
  MemoryFs fs;
  const SpaceNeeded needed = SpaceFor({.file_bytes = 10, .snapshot_bytes = 300'000'000});
  fs.free_bytes = needed.total();
  EXPECT_TRUE(CheckSpace(fs, "/db", needed).ok());
  --fs.free_bytes;
  const Status status = CheckSpace(fs, "/db", needed);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(MessageOf(status).find("not enough space in /db: "), std::string::npos) << status;
  EXPECT_NE(HintOf(status).find("Nothing was changed."), std::string::npos);
}

TEST(MeasureSnapshot, AnEmptyFileIsDamage) {
  EXPECT_TRUE(absl::IsDataLoss(MeasureSnapshot(StringAccess("", "x.db")).status()));
  EXPECT_EQ(MeasureSnapshot(StringAccess(std::string(1000, 'x')))->snapshot_bytes, 1000u);
}

TEST(MeasureSnapshot, AClaimThatNoDiskCanHoldNeverFits) {
  // A zstd frame that says it has 2^64 - 3 bytes.
  const std::string claims("\x28\xb5\x2f\xfd\xc0\x40\xfd\xff\xff\xff\xff\xff\xff\xff", 14);
  const auto size = MeasureSnapshot(StringAccess(claims));
  ASSERT_TRUE(size.ok()) << size.status();
  const MemoryFs fs;
  EXPECT_GT(SpaceFor(*size).total(), fs.free_bytes);
}

}  // namespace
}  // namespace holdfast
