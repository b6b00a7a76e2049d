#include "sqlite/kine_rows.h"

#include <optional>
#include <utility>

#include "base/path.h"
#include "formats/kine/content.h"
#include "sqlite/contents.h"

namespace holdfast::sqlite {
namespace {

// "name INTEGER" is kine's: SQLite keeps a text as a text in such a column, unless it looks like a number.
constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, "
    "created INTEGER, deleted INTEGER, create_revision INTEGER, prev_revision INTEGER, "
    "lease INTEGER, value BLOB, old_value BLOB)";
constexpr char kIndexes[] =
    "CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name);"
    "CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name, id);"
    "CREATE INDEX IF NOT EXISTS kine_id_deleted_index ON kine (id, deleted);"
    "CREATE INDEX IF NOT EXISTS kine_prev_revision_index ON kine (prev_revision);"
    "CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex ON kine (name, "
    "prev_revision)";

class KineWriter final : public KeyWriter {
 public:
  KineWriter(FileSystem& fs, std::string path, Rows which, bool is_new)
      : fs_(fs), path_(std::move(path)), which_(which), is_new_(is_new) {}

  ~KineWriter() override {
    insert_.reset();
    db_.reset();  // ends the transaction
    if (!is_new_) return;
    // best effort: a database that holds nothing stays if it cannot be removed
    for (const char* suffix : {"", "-journal", "-wal", "-shm"})
      (void)fs_.RemoveFile(path_ + suffix);
  }

  Status Begin() {
    ASSIGN_OR_RETURN(db_, Connection::Open(path_, Access::kWrite));
    RETURN_IF_ERROR(db_->Run("BEGIN IMMEDIATE"));
    RETURN_IF_ERROR(db_->Run(kTable));
    ASSIGN_OR_RETURN(const bool fits, HasKineTable(*db_));
    if (!fits) return FailedPreconditionError("{}: its table kine is not one of kine's", path_);
    RETURN_IF_ERROR(CheckNoKeys());
    // What is there is kine's own: the compact revision of an empty table, gaps.
    RETURN_IF_ERROR(db_->Run("DELETE FROM kine"));
    ASSIGN_OR_RETURN(insert_, db_->Prepare("INSERT INTO kine (id, name, created, deleted, "
                                           "create_revision, prev_revision, lease, value, "
                                           "old_value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"));
    return OkStatus();
  }

  Status Write(const KeyRow& row) override {
    const bool all = which_ == Rows::kAll;
    Statement& insert = *insert_;
    if (all) {
      insert.BindInt(1, row.id);
    } else {
      insert.BindNull(1);  // the next one
    }
    insert.BindText(2, row.name);
    // As kine writes a key that was not there before. A lease is kine's time to live in seconds, in etcd a number that
    // means nothing here: none.
    insert.BindInt(3, all ? row.created : 1);
    insert.BindInt(4, all ? row.deleted : 0);
    insert.BindInt(5, all ? row.create_revision : 0);
    insert.BindInt(6, all ? row.prev_revision : 0);
    insert.BindInt(7, all ? row.lease : 0);
    insert.BindBlob(8, BytesOf(row.value));
    if (all && row.old_value) {
      insert.BindBlob(9, BytesOf(*row.old_value));
    } else {
      insert.BindNull(9);
    }
    RETURN_IF_ERROR(insert.Run(), "row {} ({})", row.id, row.name);
    return OkStatus();
  }

  Status Commit() override {
    insert_.reset();
    RETURN_IF_ERROR(db_->Run(kIndexes));
    RETURN_IF_ERROR(db_->Run("COMMIT"));
    // Only now: a new file is written once in the old mode, twice through a write-ahead log.
    if (is_new_) RETURN_IF_ERROR(db_->Run("PRAGMA journal_mode = WAL"));
    is_new_ = false;
    db_.reset();
    return fs_.SyncDirectory(DirName(path_));
  }

 private:
  Status CheckNoKeys() {
    ASSIGN_OR_RETURN(Statement names, db_->Prepare("SELECT DISTINCT name FROM kine"));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, names.Next());
      if (!row) return OkStatus();
      if (kine::IsInternalName(names.Text(0))) continue;
      return WithHint(
          FailedPreconditionError("{} holds keys already, {} for one", path_, names.Text(0)),
          "Keys are only written into a datastore without any.");
    }
  }

  FileSystem& fs_;
  const std::string path_;
  const Rows which_;
  bool is_new_;  // and not committed: removed at the end
  std::unique_ptr<Connection> db_;
  std::optional<Statement> insert_;
};

}  // namespace

Status ReadKineRows(Connection& db, Rows which, const std::function<Status(const KeyRow&)>& row) {
  RETURN_IF_ERROR(db.Run("BEGIN"));  // ended by closing
  ASSIGN_OR_RETURN(const bool has_kine, HasKineTable(db));
  if (!has_kine) return FailedPreconditionError("{} has no kine table", db.path());
  std::string sql =
      "SELECT id, name, created, deleted, create_revision, prev_revision, lease, value, old_value "
      "FROM kine";
  if (which == Rows::kLive)
    sql += " WHERE deleted = 0 AND id IN (SELECT max(id) FROM kine GROUP BY name)";
  ASSIGN_OR_RETURN(Statement rows, db.Prepare(sql + " ORDER BY id"));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return OkStatus();
    KeyRow out;
    out.id = rows.Int(0);
    out.name = rows.Text(1);
    if (which == Rows::kLive && kine::IsInternalName(out.name)) continue;
    out.created = rows.Int(2) != 0;
    out.deleted = rows.Int(3) != 0;
    out.create_revision = rows.Int(4);
    out.prev_revision = rows.Int(5);
    out.lease = rows.Int(6);
    out.value = rows.Text(7);
    if (!rows.IsNull(8)) out.old_value = rows.Text(8);
    RETURN_IF_ERROR(row(out));
  }
}

StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(FileSystem& fs, const std::string& path,
                                                   Rows which) {
  RETURN_IF_ERROR(MakeDirectories(fs, DirName(path), 0700));
  ASSIGN_OR_RETURN(const bool exists, Exists(fs, path));
  if (!exists) {
    // By ourselves, for its mode. SQLite takes an empty file for an empty database.
    RETURN_IF_ERROR(fs.Create(path, 0600).status());
  }
  auto writer = std::make_unique<KineWriter>(fs, path, which, /*is_new=*/!exists);
  RETURN_IF_ERROR(writer->Begin());
  return writer;
}

}  // namespace holdfast::sqlite
