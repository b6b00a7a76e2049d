#include "sqlite/sqlite_datastore.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "os/host.h"
#include "sqlite/connection.h"
#include "sqlite/contents.h"
#include "sqlite/examine.h"
#include "sqlite/in_use.h"
#include "sqlite/kine_rows.h"
#include "sqlite/replace_file.h"
#include "sqlite/scratch_database.h"
#include "store/file_sink.h"
#include "stream/digest_source.h"
#include "stream/pump.h"

namespace holdfast {
namespace {

using sqlite::Access;
using sqlite::Connection;

constexpr char kKindName[] = "sqlite", kScheme[] = "sqlite";
// k3s-io/kine pkg/drivers/sqlite: the database of an endpoint without a path.
constexpr char kDefaultPath[] = "./db/state.db";
// Beside the payload itself, for directories and journals.
constexpr std::uint64_t kSpaceReserve = 1 * kMiB;

// The path of an endpoint, absolute, with links followed: SQLite keeps its -wal beside the real file.
StatusOr<std::string> PathOf(const std::string& endpoint) {
  const std::string prefix = std::string(kScheme) + "://";
  if (!endpoint.starts_with(prefix))
    return InvalidArgumentError("datastore endpoint is not {}<path>", prefix);
  std::string path = endpoint.substr(prefix.size());
  path = path.substr(0, path.find('?'));
  if (path.empty()) path = kDefaultPath;
  if (path.find('\0') != std::string::npos || path.ends_with('/'))
    return InvalidArgumentError("datastore endpoint {} names no file", endpoint);
  path = AbsolutePath(path, WorkingDirectory());
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real.string();
}

class SqliteDatastore final : public Datastore {
 public:
  SqliteDatastore(FileSystem& fs, Clock& clock, std::string path)
      : fs_(fs), clock_(clock), path_(std::move(path)) {}

  StatusOr<DatastoreState> Describe() override {
    ASSIGN_OR_RETURN(const auto db, OpenToRead({}));
    return DescribeOpen(*db);
  }

  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) override {
    ASSIGN_OR_RETURN(const auto db, OpenToRead(options.stop));
    ASSIGN_OR_RETURN(DatastoreState state, DescribeOpen(*db));
    const std::string what =
        fmt::format("copy {} to a file in {}", path_, options.scratch_directory);
    std::stop_source end;
    ASSIGN_OR_RETURN(auto copy,
                     sqlite::MakeScratchDatabase(fs_, options.scratch_directory, end.get_token()),
                     "{}", what);
    // Nobody else will ever see this file: it needs neither a journal nor to reach the disk.
    RETURN_IF_ERROR(copy.writer->Run("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF"));
    RETURN_IF_ERROR(copy.writer->CopyFrom(*db), "{}", what);
    copy.writer.reset();
    ASSIGN_OR_RETURN(const std::uint64_t size, copy.file->Size());
    return std::make_unique<sqlite::SqliteSnapshot>(std::move(state), std::move(copy), size,
                                                    std::move(end), options.stop);
  }

  StatusOr<RestorePlan> CheckRestore(const RestoreOptions& options) override {
    RETURN_IF_ERROR(CheckReplaceable(options.clean));
    ASSIGN_OR_RETURN(const bool exists, Exists(fs_, path_));
    std::string there = DirName(path_);
    while (fs_.Stat(there).status().code() == StatusCode::kNotFound && there != DirName(there))
      there = DirName(there);
    ASSIGN_OR_RETURN(const std::uint64_t free, fs_.FreeSpace(there));
    if (free < options.facts.bytes + kSpaceReserve) {
      return ResourceExhaustedError("{} has {} free, the database needs {}", there,
                                    FormatBytes(free), FormatBytes(options.facts.bytes));
    }
    RestorePlan plan{.sets_aside = true};
    if (exists) {
      plan.lines.push_back(fmt::format("{} is replaced in one step", path_));
      plan.lines.push_back(
          fmt::format("what is there now stays beside it, as {}-old-<time>", path_));
    } else {
      plan.lines.push_back(fmt::format("{} is made", path_));
    }
    return plan;
  }

  StatusOr<std::unique_ptr<StagedRestore>> Stage(const RestoreOptions& options) override {
    // Where not even the directory is there, it is made when all is known.
    ASSIGN_OR_RETURN(const bool has_place, Exists(fs_, DirName(path_)));
    if (!has_place) return nullptr;
    return MakeStaged(options);
  }

  Status Restore(Source& payload, const RestoreOptions& options) override {
    ASSIGN_OR_RETURN(const auto staged, MakeStaged(options));
    DigestSource examined(payload, options.facts.sha256);
    Sink* const sinks[] = {staged.get()};
    RETURN_IF_ERROR(
        Pump(examined, sinks, {.stop = options.stop, .on_progress = options.on_progress}).status(),
        "restore {}", path_);
    return staged->Commit();
  }

  StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto db, OpenToRead(std::move(stop)));
    RETURN_IF_ERROR(db->Run("BEGIN"));  // one view for all; ended by closing
    SnapshotFacts facts;
    ASSIGN_OR_RETURN(facts.bytes, BytesOfDatabase(*db));
    RETURN_IF_ERROR(sqlite::ReadKineFacts(*db, facts));
    return facts;
  }

  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto db, OpenToRead(std::move(stop)));
    return sqlite::ReadKineRows(*db, which, row);
  }

  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) override {
    RETURN_IF_ERROR(sqlite::CheckNotInUse(path_));
    return sqlite::WriteKineRows(fs_, path_, which);
  }

 private:
  StatusOr<std::unique_ptr<Connection>> OpenToRead(std::stop_token stop) {
    const auto info = fs_.Stat(path_);
    if (absl::IsNotFound(info.status()))
      return WithHint(NotFoundError("there is no {}", path_),
                      "Check the path in the endpoint: sqlite://<path of the database file>.");
    RETURN_IF_ERROR(info.status());
    if (info->kind != FileKind::kFile) return FailedPreconditionError("{} is not a file", path_);
    ASSIGN_OR_RETURN(auto db, OpenLeavingNothing(std::move(stop)));
    const Status readable = db->QueryInt("SELECT count(*) FROM sqlite_schema").status();
    if (absl::IsUnavailable(readable))
      return WithHint(readable, "Another process holds it for itself alone.");
    RETURN_IF_ERROR(readable);
    return db;
  }

  // With a log beside it the database is somebody's: read it, and no more. Without one SQLite makes an empty log in order to
  // read, and only a connection that might write removes it at the end.
  StatusOr<std::unique_ptr<Connection>> OpenLeavingNothing(std::stop_token stop) {
    ASSIGN_OR_RETURN(const bool has_log, Exists(fs_, path_ + "-wal"));
    if (has_log) return Connection::Open(path_, Access::kRead, std::move(stop));
    ASSIGN_OR_RETURN(auto db, Connection::Open(path_, Access::kWrite, std::move(stop)));
    RETURN_IF_ERROR(db->Run("PRAGMA query_only = ON"));
    return db;
  }

  static StatusOr<std::uint64_t> BytesOfDatabase(Connection& db) {
    ASSIGN_OR_RETURN(const std::int64_t pages, db.QueryInt("PRAGMA page_count"));
    ASSIGN_OR_RETURN(const std::int64_t page_size, db.QueryInt("PRAGMA page_size"));
    return CheckedCast<std::uint64_t>(pages) * CheckedCast<std::uint64_t>(page_size);
  }

  StatusOr<DatastoreState> DescribeOpen(Connection& db) {
    DatastoreState state{.kind = kKindName, .version = sqlite::LibraryVersion(), .location = path_};
    ASSIGN_OR_RETURN(state.bytes, BytesOfDatabase(db));
    ASSIGN_OR_RETURN(state.empty, sqlite::IsEmpty(db));
    ASSIGN_OR_RETURN(const std::string journal, db.QueryText("PRAGMA journal_mode"));
    if (journal != "wal" && !state.empty) {
      state.warnings.push_back(fmt::format(
          "{} is in journal mode {}: whoever writes to it waits while a snapshot copies it", path_,
          journal));
    }
    return state;
  }

  Status CheckReplaceable(bool clean) {
    ASSIGN_OR_RETURN(const bool exists, Exists(fs_, path_));
    if (!exists) return OkStatus();
    ASSIGN_OR_RETURN(const FileInfo info, fs_.Stat(path_));
    if (info.kind != FileKind::kFile) return FailedPreconditionError("{} is not a file", path_);
    RETURN_IF_ERROR(sqlite::CheckNotInUse(path_));
    if (clean || HoldsNothing()) return OkStatus();
    return WithHint(FailedPreconditionError("{} is not empty", path_),
                    "With --clean it is replaced, and kept beside the new one.");
  }

  // There is a file; what cannot be read is something.
  bool HoldsNothing() {
    const auto db = OpenLeavingNothing({});
    return db.ok() && sqlite::IsEmpty(**db).value_or(false);
  }

  // The new file, beside its place.
  class Staged final : public StagedRestore {
   public:
    // `store` must outlive this.
    Staged(SqliteDatastore& store, bool clean, RestorePlan plan, AtomicFile file)
        : store_(store),
          clean_(clean),
          plan_(std::move(plan)),
          file_(std::move(file)),
          sink_(file_.file(), FileSink::Kind::kDurable) {}
    const RestorePlan& plan() const override { return plan_; }
    Status Write(ByteSpan data) override { return sink_.Write(data); }
    Status Finish() override { return sink_.Finish(); }
    Status Commit() override { return store_.Replace(std::move(file_), clean_); }

   private:
    SqliteDatastore& store_;
    const bool clean_;
    const RestorePlan plan_;
    AtomicFile file_;
    FileSink sink_;
  };

  static Status Own(File& part, const std::string& path) {
    const Status locked = part.TryLock();
    if (!absl::IsAborted(locked))
      return OkStatus();  // a file system without locks is no reason not to restore
    return WithHint(FailedPreconditionError("another restore is writing {}", path),
                    "Wait for it to end, or stop it.");
  }

  StatusOr<std::unique_ptr<Staged>> MakeStaged(const RestoreOptions& options) {
    ASSIGN_OR_RETURN(RestorePlan plan, CheckRestore(options));
    RETURN_IF_ERROR(MakeDirectories(fs_, DirName(path_), 0700));
    const std::string part = path_ + std::string(kPartSuffix);
    // What a crash left is replaced, but not what another restore is writing.
    if (const auto left = fs_.OpenForWrite(part); left.ok()) RETURN_IF_ERROR(Own(**left, part));
    const auto old = fs_.Stat(path_);
    ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(fs_, path_, old.ok() ? old->mode : 0600));
    RETURN_IF_ERROR(Own(file.file(), part));
    RETURN_IF_ERROR(fs_.CopyOwner(old.ok() ? path_ : DirName(path_), part));
    return std::make_unique<Staged>(*this, options.clean, std::move(plan), std::move(file));
  }

  Status Replace(AtomicFile file, bool clean) {
    // Writing it, and being asked, took their time: look again.
    RETURN_IF_ERROR(CheckReplaceable(clean));
    RETURN_IF_ERROR(FoldLog());
    RETURN_IF_ERROR(sqlite::CheckNotInUse(path_));
    ASSIGN_OR_RETURN(const std::string kept,
                     sqlite::ReplaceDatabase(fs_, path_, std::move(file), clock_.Now()));
    if (kept.empty()) return OkStatus();
    LogInfo("the database from before is kept as {}", kept);
    // Somebody who opened the old file in the last moment writes to it, and to a log that now belongs to the new one.
    return WithHint(sqlite::CheckNotInUse(kept),
                    fmt::format("It was opened while {} was replaced: stop it at once, and restore "
                                "again.",
                                path_));
  }

  // What the last owner left in the log goes into the old database, so that it is one whole file. If it is too damaged for
  // that, its files are set aside one by one.
  Status FoldLog() {
    bool left_something = false;
    for (const char* companion : sqlite::kCompanions) {
      ASSIGN_OR_RETURN(const bool there, Exists(fs_, path_ + companion));
      left_something = left_something || there;
    }
    ASSIGN_OR_RETURN(const bool exists, Exists(fs_, path_));
    if (!exists || !left_something) return OkStatus();
    const Status folded = [&] {
      ASSIGN_OR_RETURN(const auto db, Connection::Open(path_, Access::kWrite));
      RETURN_IF_ERROR(db->QueryInt("SELECT count(*) FROM sqlite_schema").status());
      ASSIGN_OR_RETURN(const std::int64_t busy, db->QueryInt("PRAGMA wal_checkpoint(TRUNCATE)"));
      return busy == 0 ? OkStatus() : UnavailableError("{} is in use", path_);
    }();
    if (!absl::IsDataLoss(folded)) return folded;
    LogWarn("the database from before is damaged ({}); it is kept as it is", MessageOf(folded));
    return OkStatus();
  }

  FileSystem& fs_;
  Clock& clock_;
  const std::string path_;
};

constexpr std::string_view kSchemes[] = {kScheme};

constexpr DatastoreKind kKind = {
    .name = kKindName,
    .schemes = kSchemes,
    .endpoint_example = "sqlite:///var/lib/rancher/k3s/server/db/state.db",
    .default_compression = Compression::kNone,
    .keeps_history = true,
    .recognizes =
        [](ByteSpan first_bytes) { return TextOf(first_bytes).starts_with(sqlite::kMagic); },
    .make_examiner = [](FileSystem& fs, const std::string& scratch_directory,
                        std::stop_token stop) -> std::unique_ptr<Examiner> {
      return std::make_unique<sqlite::PayloadExaminer>(fs, scratch_directory, std::move(stop));
    },
    .make_file_examiner = sqlite::MakeFileExaminer,
    .open = [](const DatastoreOptions& options) -> StatusOr<std::unique_ptr<Datastore>> {
      ASSIGN_OR_RETURN(std::string path, PathOf(options.endpoint.reveal()));
      return std::make_unique<SqliteDatastore>(options.fs, options.clock, std::move(path));
    },
};

}  // namespace

const DatastoreKind& SqliteKind() { return kKind; }

}  // namespace holdfast
