#include "capture/capture_snapshot.h"

#include <gtest/gtest.h>

#include "artifact/naming.h"
#include "base/aligned_buffer.h"
#include "store/local_store.h"
#include "stream/decompress.h"
#include "stream/memory.h"
#include "testing/fake_etcd.h"
#include "testing/fake_etcd_datastore.h"
#include "testing/fault_fs.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using testing::FakeEtcd;
using testing::FaultFs;
using testing::Loss;
using testing::MemoryFs;

constexpr char kSnapshots[] = "/db/snapshots";

std::string Image() {
  testing::MvccBuilder builder;
  for (int i = 2; i < 40; ++i) builder.Put(i, "/k" + std::to_string(i), "v");
  builder.bolt.Add("meta", "finishedCompactRev", mvcc::Revision{.main = 5}.Encode());
  builder.bolt.ForcePages("key");
  return builder.bolt.Build();
}

std::unique_ptr<MemoryFs> EmptyDisk() {
  auto fs = std::make_unique<MemoryFs>();
  EXPECT_TRUE(MakeDirectories(*fs, kSnapshots, 0700).ok());
  fs->SyncAll();
  return fs;
}

FakeEtcd Etcd() {
  FakeEtcd etcd;
  etcd.snapshot = testing::WithDigest(Image());
  return etcd;
}

StatusOr<CapturedSnapshot> Capture(FileSystem& fs, FakeEtcd& etcd,
                                   Compression compression = Compression::kNone) {
  LocalStore store(fs, kSnapshots);
  return CaptureSnapshot(*testing::DatastoreOf(etcd), store,
                         {.base = "on-demand",
                          .node = "n1",
                          .now = absl::FromUnixSeconds(1000) + absl::Milliseconds(499),
                          .compression = compression,
                          .token_hash = "2bb80d537b1d"});
}

std::vector<std::string> Names(FileSystem& fs) {
  std::vector<std::string> out;
  const auto objects = LocalStore(fs, kSnapshots).List().value();
  for (const ObjectInfo& object : objects) out.push_back(object.name);
  return out;
}

// All names, unfinished ones too.
std::vector<std::string> RawNames(FileSystem& fs, const std::string& directory) {
  std::vector<std::string> out;
  const auto entries = fs.List(directory);
  if (entries.ok()) {
    for (const DirectoryEntry& entry : *entries) out.push_back(entry.name);
  }
  return out;
}

std::string Read(FileSystem& fs, const std::string& name) {
  return ReadFile(fs, JoinPath(kSnapshots, name), 1 << 26).value_or("none");
}

using Strings = std::vector<std::string>;

TEST(CaptureSnapshot, StoresWhatEtcdSentAndWhatIsKnownOfIt) {
  auto fs = EmptyDisk();
  FakeEtcd etcd = Etcd();
  const CapturedSnapshot saved = Capture(*fs, etcd).value();
  EXPECT_EQ(saved.name, "on-demand-n1-1000");
  EXPECT_EQ(Read(*fs, saved.name), etcd.snapshot);
  EXPECT_EQ(fs->Stat(JoinPath(kSnapshots, saved.name))->mode, 0600u);

  const Manifest m =
      Manifest::Decode(LocalStore(*fs, kSnapshots).ReadMetadata(saved.name).value()).value();
  EXPECT_EQ(m.Fields(), saved.manifest.Fields());
  EXPECT_EQ(m.revision, 39);
  EXPECT_EQ(m.compact_revision, 5);
  EXPECT_EQ(m.sha256, HexOf(Sha256Of(BytesOf(Image()))));
  EXPECT_EQ(m.snapshot_bytes, etcd.snapshot.size());
  EXPECT_EQ(m.file_bytes, etcd.snapshot.size());
  EXPECT_EQ(m.cluster_id, "c1");
  EXPECT_EQ(m.member_id, "a1");
  EXPECT_EQ(m.datastore_version, "3.5.16");
  EXPECT_EQ(m.token_hash, "2bb80d537b1d");
  EXPECT_EQ(m.proof, Proof::kDigest);
}

TEST(CaptureSnapshot, PiecesOfAnySizeGiveTheSame) {
  for (std::size_t piece :
       {std::size_t{1}, std::size_t{31}, std::size_t{4096}, std::size_t{1} << 20}) {
    auto fs = EmptyDisk();
    FakeEtcd etcd = Etcd();
    etcd.piece = piece;
    EXPECT_EQ(Capture(*fs, etcd)->manifest.revision, 39) << piece;
    EXPECT_EQ(Read(*fs, "on-demand-n1-1000"), etcd.snapshot) << piece;
  }
}

TEST(CaptureSnapshot, CompressedItUnpacksToTheSame) {
  for (Compression compression : {Compression::kZip, Compression::kZstd}) {
    auto fs = EmptyDisk();
    FakeEtcd etcd = Etcd();
    const CapturedSnapshot saved = Capture(*fs, etcd, compression).value();
    EXPECT_EQ(saved.name, "on-demand-n1-1000" + std::string(CompressionSuffix(compression)));
    const StringAccess packed(Read(*fs, saved.name));
    EXPECT_EQ(testing::ReadAll(*OpenDecompressed(packed).value()).value(), etcd.snapshot);
    EXPECT_EQ(saved.manifest.file_bytes, packed.Size().value());
    EXPECT_LT(saved.manifest.file_bytes, saved.manifest.snapshot_bytes);
    EXPECT_EQ(saved.manifest.compression, compression);
  }
}

TEST(CaptureSnapshot, ATakenNameGivesTheNextSecond) {
  auto fs = EmptyDisk();
  FakeEtcd etcd = Etcd();
  for (const char* expected : {"on-demand-n1-1000", "on-demand-n1-1001", "on-demand-n1-1002"}) {
    const CapturedSnapshot saved = Capture(*fs, etcd).value();
    EXPECT_EQ(saved.name, expected);
    EXPECT_EQ(CreationTimeInName(saved.name), saved.manifest.created_at);
  }
}

TEST(CaptureSnapshot, AWrongDigestStoresNothing) {
  for (Compression compression : {Compression::kNone, Compression::kZip, Compression::kZstd}) {
    for (std::size_t i : {std::size_t{0}, std::size_t{5000}, Etcd().snapshot.size() - 1}) {
      auto fs = EmptyDisk();
      FakeEtcd etcd = Etcd();
      etcd.snapshot[i] = static_cast<char>(etcd.snapshot[i] ^ 1);
      const Status status = Capture(*fs, etcd, compression).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_TRUE(RawNames(*fs, kSnapshots).empty());
      EXPECT_TRUE(RawNames(*fs, "/db/.metadata").empty());
    }
  }
}

TEST(CaptureSnapshot, AStreamWithoutDigestStoresNothing) {
  auto fs = EmptyDisk();
  FakeEtcd etcd = Etcd();
  etcd.snapshot.resize(etcd.snapshot.size() - 32);
  EXPECT_TRUE(absl::IsDataLoss(Capture(*fs, etcd).status()));
  EXPECT_TRUE(RawNames(*fs, kSnapshots).empty());
}

TEST(CaptureSnapshot, ABrokenStreamStoresNothingAndSaysWhy) {
  for (std::size_t after : {std::size_t{0}, std::size_t{1}, std::size_t{4096},
                            Etcd().snapshot.size() - 1, Etcd().snapshot.size()}) {
    auto fs = EmptyDisk();
    FakeEtcd etcd = Etcd();
    etcd.breaks_after = after;
    EXPECT_EQ(Capture(*fs, etcd).status(), etcd.broken) << after;
    EXPECT_TRUE(RawNames(*fs, kSnapshots).empty()) << after;
  }
}

TEST(CaptureSnapshot, AStopStoresNothing) {
  auto fs = EmptyDisk();
  FakeEtcd etcd = Etcd();
  std::stop_source stop;
  etcd.before_read = [&] { stop.request_stop(); };
  LocalStore store(*fs, kSnapshots);
  const auto status = CaptureSnapshot(*testing::DatastoreOf(etcd), store,
                                      {.base = "b", .node = "n", .stop = stop.get_token()})
                          .status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(RawNames(*fs, kSnapshots).empty());
}

TEST(CaptureSnapshot, WithoutSpaceItIsSaidBeforeTheStreamIsRead) {
  auto fs = EmptyDisk();
  fs->free_bytes = 1000;
  FakeEtcd etcd = Etcd();
  etcd.before_read = [] { FAIL() << "the stream was read"; };
  EXPECT_EQ(Capture(*fs, etcd).status().code(), StatusCode::kResourceExhausted);
}

TEST(CaptureSnapshot, TheCallsInOrder) {
  auto disk = EmptyDisk();
  FaultFs fs(*disk);
  FakeEtcd etcd = Etcd();
  ASSERT_TRUE(Capture(fs, etcd).ok());
  const std::size_t manifest = disk->Stat("/db/.metadata/on-demand-n1-1000")->size_bytes;
  const std::size_t aligned = etcd.snapshot.size() / kAlignment * kAlignment;
  EXPECT_EQ(fs.trace(),
            (Strings{
                "create /db/snapshots/on-demand-n1-1000.part",
                // What is aligned goes past the kernel's cache; the digest is not.
                fmt::format("write /db/snapshots/on-demand-n1-1000.part 0+{}", aligned),
                fmt::format("write /db/snapshots/on-demand-n1-1000.part {}+{}", aligned,
                            etcd.snapshot.size() - aligned),
                // The sink's end, beside the last of the hashing; and before the name.
                "sync /db/snapshots/on-demand-n1-1000.part",
                "sync /db/snapshots/on-demand-n1-1000.part",
                "rename /db/snapshots/on-demand-n1-1000.part /db/snapshots/on-demand-n1-1000",
                "syncdir /db/snapshots",
                "mkdir /db/.metadata",
                "syncdir /db",
                "create /db/.metadata/on-demand-n1-1000.part",
                fmt::format("write /db/.metadata/on-demand-n1-1000.part 0+{}", manifest),
                "sync /db/.metadata/on-demand-n1-1000.part",
                "rename /db/.metadata/on-demand-n1-1000.part /db/.metadata/on-demand-n1-1000",
                "syncdir /db/.metadata",
            }));
}

TEST(CaptureSnapshot, AnErrorAnywhereIsToldAndLeavesAllOrNothing) {
  for (const Status& error :
       {ResourceExhaustedError("no space left on device"), DataLossError("i/o error")}) {
    for (int n = 1;; ++n) {
      auto disk = EmptyDisk();
      FaultFs faulty(*disk);
      faulty.FailAt(n, error, /*for_ever=*/false);
      FakeEtcd etcd = Etcd();
      const auto saved = Capture(faulty, etcd);
      if (!faulty.failed()) break;
      for (const std::string& name : RawNames(*disk, kSnapshots)) {
        EXPECT_EQ(name, "on-demand-n1-1000") << n;
        EXPECT_EQ(Read(*disk, name), etcd.snapshot) << n;
      }
      if (saved.ok()) {
        // Only the manifest failed: told beside the snapshot.
        EXPECT_EQ(saved->manifest_status.code(), error.code()) << n;
        EXPECT_EQ(Names(*disk).size(), 1u) << n;
      } else {
        EXPECT_EQ(saved.status().code(), error.code()) << n;
      }
    }
  }
}

TEST(CaptureSnapshot, APowerCutAnywhereLeavesAWholeSnapshotOrNone) {
  for (Compression compression : {Compression::kNone, Compression::kZip}) {
    for (int n = 1;; ++n) {
      auto disk = EmptyDisk();
      FaultFs faulty(*disk);
      faulty.FailAt(n, UnavailableError("power cut"), /*for_ever=*/true);
      FakeEtcd etcd = Etcd();
      const auto saved = Capture(faulty, etcd, compression);
      for (Loss loss : {Loss::kNothing, Loss::kUnsyncedData, Loss::kUnsynced}) {
        auto after = disk->Crash(loss);
        LocalStore store(*after, kSnapshots);
        ASSERT_TRUE(store.RemoveUnfinished([](auto, auto) { return true; }).ok());
        const auto names = Names(*after);
        EXPECT_EQ(RawNames(*after, kSnapshots), names) << n;
        for (const std::string& name : names) {
          const StringAccess packed(Read(*after, name));
          EXPECT_EQ(testing::ReadAll(*OpenDecompressed(packed).value()).value(), etcd.snapshot)
              << n;
          const auto manifest = store.ReadMetadata(name);
          EXPECT_TRUE(absl::IsNotFound(manifest.status()) || Manifest::Decode(*manifest).ok()) << n;
        }
        if (saved.ok()) {
          EXPECT_EQ(names, Strings{saved->name}) << n;
          EXPECT_TRUE(store.ReadMetadata(saved->name).ok() || !saved->manifest_status.ok()) << n;
        }
      }
      if (!faulty.failed()) break;
    }
  }
}

}  // namespace
}  // namespace holdfast
