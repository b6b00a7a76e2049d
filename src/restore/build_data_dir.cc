#include "restore/build_data_dir.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <thread>

#include "base/endian.h"
#include "base/path.h"
#include "base/text.h"
#include "formats/bbolt/patch.h"
#include "formats/member/raft_files.h"
#include "formats/mvcc/revision.h"
#include "store/file_sink.h"
#include "stream/decompress.h"
#include "stream/pump.h"
#include "stream/trailing_digest.h"

namespace holdfast {
namespace {

constexpr std::uint32_t kDirectoryMode = 0700, kFileMode = 0600;
constexpr std::uint64_t kReserveBytes = 64 * kMiB;
// etcd databases compress to about a third; when a container does not say, rather ask for too much.
constexpr std::uint64_t kRatioGuess = 8;

// Directories made by a build; removed again unless kept.
class MadeDirectories {
 public:
  explicit MadeDirectories(FileSystem& fs) : fs_(fs) {}
  ~MadeDirectories() {
    // best effort: what is left has no member/wal or is named in the error
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) (void)RemoveTree(fs_, *path);
  }
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;

  Status Make(const std::string& path) {
    RETURN_IF_ERROR(fs_.MakeDirectory(path, kDirectoryMode));
    paths_.push_back(path);
    return OkStatus();
  }
  // The parents that are missing.
  Status MakeParents(const std::string& path) {
    const std::string parent = DirName(path);
    ASSIGN_OR_RETURN(const bool exists, Exists(fs_, parent));
    if (exists) return OkStatus();
    RETURN_IF_ERROR(MakeParents(parent));
    RETURN_IF_ERROR(Make(parent));
    return fs_.SyncDirectory(DirName(parent));
  }
  void Keep() { paths_.clear(); }

 private:
  FileSystem& fs_;
  std::vector<std::string> paths_;
};

Status CheckOptions(const BuildOptions& options) {
  if ((options.bump_revision > 0) != options.mark_compacted) {
    return InvalidArgumentError(
        "--mark-compacted is required with --bump-revision, and only allowed with it");
  }
  constexpr std::uint64_t kBumpMax = std::uint64_t{1} << 62;
  if (options.bump_revision > kBumpMax) {
    return InvalidArgumentError("--bump-revision {} is too large", options.bump_revision);
  }
  return OkStatus();
}

mvcc::InspectOptions ForRestore(std::stop_token stop) {
  return {.count_live_keys = false, .status_hash = false, .stop = std::move(stop)};
}

// Checks the structure of a file on a thread of its own, beside the copy.
class Inspecting {
 public:
  Inspecting(const RandomAccess& file, std::stop_token outer)
      : thread_([this, &file](std::stop_token stop) { result_ = Run(file, std::move(stop)); }),
        forward_(std::move(outer), [this] { thread_.request_stop(); }) {}

  StatusOr<mvcc::Inspection> Take() {
    thread_.join();
    return std::move(result_);
  }

 private:
  static StatusOr<mvcc::Inspection> Run(const RandomAccess& file, std::stop_token stop) {
    ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(file));
    return Inspect(database, ForRestore(std::move(stop)));
  }

  StatusOr<mvcc::Inspection> result_ = CancelledError("not done");
  std::jthread thread_;
  // Last: it may be called at once, and needs the thread.
  std::stop_callback<std::function<void()>> forward_;
};

// Streams the snapshot into `database`, checking its digest on the way, and returns what is in it.
StatusOr<mvcc::Inspection> CopyAndVerify(const RandomAccess& snapshot, File& database,
                                         const BuildOptions& options) {
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(snapshot));
  // A plain file can be walked while it is copied.
  std::optional<Inspecting> inspecting;
  if (source->compression() == Compression::kNone && !snapshot.IsFar())
    inspecting.emplace(snapshot, options.stop);

  FileSink file(database, FileSink::Kind::kDurable);
  TrailingDigest digest;
  std::vector<Sink*> sinks = {&file};
  if (!options.skip_hash_check) sinks.push_back(&digest);
  const auto copied =
      Pump(*source, sinks, {.stop = options.stop, .on_progress = options.on_progress});
  // The digest has the first word: with a wrong one the walk's complaint is only a consequence.
  RETURN_IF_ERROR(copied.status(), "{}", snapshot.path());
  if (!options.skip_hash_check)
    RETURN_IF_ERROR(CheckDigest(digest, options.expected_sha256), "{}", snapshot.path());
  return inspecting ? inspecting->Take() : Inspecting(database, options.stop).Take();
}

std::string BigEndian(std::uint64_t value) {
  std::uint8_t bytes[8];
  StoreBig64(bytes, value);
  return std::string(TextOf(bytes));
}

// Makes the database that of a new cluster; writes the pages and syncs.
Status ApplyMembership(File& file, const mvcc::Inspection& found, const BuildOptions& options) {
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(file));
  ASSIGN_OR_RETURN(bbolt::Patch patch, bbolt::Patch::Begin(database));
  const Membership& membership = options.membership;

  bbolt::Patch::Entries members;
  for (const Member& member : membership.members) members[MemberIdText(member.id)] = member.Json();
  patch.SetBucket("members", members);
  patch.SetBucket("members_removed", {});

  ASSIGN_OR_RETURN(bbolt::Patch::Entries meta, patch.ReadBucket("meta"));
  meta["consistent_index"] = BigEndian(FirstRaftIndex(membership));
  meta["term"] = BigEndian(1);
  meta["confState"] = membership.ConfStateJson();
  if (options.bump_revision > 0) {
    const std::int64_t last = found.revision;
    const auto bump = static_cast<std::int64_t>(options.bump_revision);  // checked to be below 2^62
    if (last > std::numeric_limits<std::int64_t>::max() - bump) {
      return InvalidArgumentError("--bump-revision {} is too large for revision {}", bump, last);
    }
    const mvcc::Revision bumped{.main = last + bump};
    // An entry without key: invisible to clients, it only carries the revision.
    RETURN_IF_ERROR(patch.AppendToBucket("key", bumped.Encode(), ""));
    meta["scheduledCompactRev"] = bumped.Encode();
  }
  patch.SetBucket("meta", meta);

  ASSIGN_OR_RETURN(bbolt::Patch::Entries cluster, patch.ReadBucket("cluster"));
  // A downgrade that was under way would stop 3.5 from starting.
  if (const auto it = cluster.find("downgrade");
      it != cluster.end() && it->second.find("\"enabled\":true") != std::string::npos) {
    cluster.erase(it);
    patch.SetBucket("cluster", cluster);
  }
  if (options.clear_alarms) patch.SetBucket("alarm", {});

  const bbolt::Patch::Result result = std::move(patch).Finish();
  RETURN_IF_ERROR(file.Truncate(result.tail_offset));  // cuts the digest
  RETURN_IF_ERROR(file.WriteAt(result.tail_offset, result.tail));
  RETURN_IF_ERROR(file.WriteAt(0, result.metas));
  return file.Sync();
}

Status WriteSynced(FileSystem& fs, const std::string& path, std::string_view content,
                   std::uint64_t reserve) {
  ASSIGN_OR_RETURN(const auto file, fs.Create(path, kFileMode));
  RETURN_IF_ERROR(file->Reserve(reserve));
  RETURN_IF_ERROR(file->WriteAt(0, BytesOf(content)));
  return file->Sync();
}

// Makes the checked database in member/snap that of the new cluster, and what lies beside it.
Status Complete(FileSystem& fs, File& database, const mvcc::Inspection& found,
                const std::string& wal, MadeDirectories& made, const BuildOptions& options) {
  const std::string member = JoinPath(options.data_dir, "member"), snap = JoinPath(member, "snap");
  if (options.approve) RETURN_IF_ERROR(options.approve(found));
  RETURN_IF_ERROR(ApplyMembership(database, found, options));
  RETURN_IF_ERROR(WriteSynced(fs, JoinPath(snap, RaftSnapshotName(options.membership)),
                              EncodeRaftSnapshot(options.membership), 0));
  // Last, because etcd takes a directory with a WAL for a complete one.
  RETURN_IF_ERROR(made.Make(wal));
  RETURN_IF_ERROR(WriteSynced(fs, JoinPath(wal, kFirstWalName),
                              EncodeFirstWal(options.membership, options.node), kWalSegmentBytes));
  for (const std::string& directory : {wal, DirName(wal), snap, member, options.data_dir})
    RETURN_IF_ERROR(fs.SyncDirectory(directory));
  return OkStatus();
}

StatusOr<std::uint64_t> BytesIn(FileSystem& fs, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto entries, fs.List(directory));
  std::uint64_t total = 0;
  for (const DirectoryEntry& entry : entries) {
    std::uint64_t bytes = entry.info.size_bytes;
    if (entry.info.kind == FileKind::kDirectory) {
      ASSIGN_OR_RETURN(bytes, BytesIn(fs, JoinPath(directory, entry.name)));
    }
    total += bytes;
  }
  return total;
}

}  // namespace

StatusOr<SnapshotSize> MeasureSnapshot(const RandomAccess& snapshot) {
  SnapshotSize size;
  ASSIGN_OR_RETURN(size.file_bytes, snapshot.Size());
  if (size.file_bytes == 0) return DataLossError("{} is empty", snapshot.path());
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(snapshot));
  // What a file claims may be anything; no file is larger than an offset of the kernel's can say.
  constexpr std::uint64_t kFileBytesMax = std::numeric_limits<std::int64_t>::max();
  size.snapshot_bytes =
      std::min(source->size().value_or(size.file_bytes * kRatioGuess), kFileBytesMax);
  return size;
}

SpaceNeeded SpaceFor(const SnapshotSize& size) {
  return {.database = size.snapshot_bytes, .wal = 2 * kWalSegmentBytes, .reserve = kReserveBytes};
}

Status CheckSpace(FileSystem& fs, const std::string& directory, const SpaceNeeded& needed) {
  ASSIGN_OR_RETURN(const std::uint64_t free, fs.FreeSpace(directory));
  if (free >= needed.total()) return OkStatus();
  return WithHint(
      ResourceExhaustedError(
          "not enough space in {}: {} needed (database {} + WAL {} + reserve {}), {} free",
          directory, FormatBytes(needed.total()), FormatBytes(needed.database),
          FormatBytes(needed.wal), FormatBytes(needed.reserve), FormatBytes(free)),
      "Nothing was changed. Free some space, for example an old etcd-old-* directory, and run the "
      "command again.");
}

StatusOr<mvcc::Inspection> BuildDataDir(FileSystem& fs, const RandomAccess& snapshot,
                                        const BuildOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  const std::string member = JoinPath(options.data_dir, "member"), snap = JoinPath(member, "snap");
  const std::string wal = options.wal_dir.empty() ? JoinPath(member, "wal") : options.wal_dir;
  ASSIGN_OR_RETURN(const bool wal_exists, Exists(fs, wal));
  if (wal_exists) return AlreadyExistsError("wal-dir {} exists", wal);

  MadeDirectories made(fs);
  RETURN_IF_ERROR(made.Make(member));
  RETURN_IF_ERROR(made.Make(snap));
  RETURN_IF_ERROR(made.MakeParents(wal));
  ASSIGN_OR_RETURN(const auto database, fs.Create(JoinPath(snap, "db"), kFileMode));
  ASSIGN_OR_RETURN(const mvcc::Inspection found, CopyAndVerify(snapshot, *database, options));
  RETURN_IF_ERROR(Complete(fs, *database, found, wal, made, options));
  made.Keep();
  return found;
}

StatusOr<mvcc::Inspection> RebuildDataDir(FileSystem& fs, const BuildOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  const std::string member = JoinPath(options.data_dir, "member"), snap = JoinPath(member, "snap"),
                    wal = JoinPath(member, "wal");
  ASSIGN_OR_RETURN(const auto database, fs.OpenForWrite(JoinPath(snap, "db")));
  ASSIGN_OR_RETURN(const mvcc::Inspection found, Inspecting(*database, options.stop).Take());
  RETURN_IF_ERROR(RemoveTree(fs, wal));
  ASSIGN_OR_RETURN(const auto entries, fs.List(snap));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name != "db") RETURN_IF_ERROR(fs.RemoveFile(JoinPath(snap, entry.name)));
  }
  MadeDirectories made(fs);
  RETURN_IF_ERROR(Complete(fs, *database, found, wal, made, options));
  made.Keep();
  return found;
}

StatusOr<SpaceNeeded> SpaceForCopyOf(FileSystem& fs, const std::string& member) {
  ASSIGN_OR_RETURN(const FileInfo database, fs.Stat(JoinPath(member, "snap/db")));
  std::uint64_t all = 0;
  for (const char* part : {"snap", "wal"}) {  // each may be a link
    ASSIGN_OR_RETURN(const std::uint64_t bytes, BytesIn(fs, JoinPath(member, part)));
    all += bytes;
  }
  return SpaceNeeded{.database = database.size_bytes,
                     .wal = all - std::min(all, database.size_bytes) + 2 * kWalSegmentBytes,
                     .reserve = kReserveBytes};
}

}  // namespace holdfast
