#include "sqlite/contents.h"

#include <algorithm>

#include "formats/kine/content.h"

namespace holdfast::sqlite {

Status CheckIntegrity(Connection& db) {
  // SQLite's limit is 100 messages; three say enough.
  ASSIGN_OR_RETURN(Statement check, db.Prepare("PRAGMA integrity_check(3)"));
  std::string found;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, check.Next());
    if (!row) break;
    if (check.Text(0) == "ok") continue;
    found += (found.empty() ? "" : "; ") + std::string(check.Text(0));
  }
  std::replace(found.begin(), found.end(), '\n', ' ');
  return found.empty() ? OkStatus() : DataLossError("integrity check: {}", found);
}

StatusOr<bool> IsEmpty(Connection& db) {
  ASSIGN_OR_RETURN(const std::int64_t things, db.QueryInt("SELECT count(*) FROM sqlite_schema"));
  return things == 0;
}

StatusOr<bool> HasKineTable(Connection& db) {
  // A virtual table, which would run code on what is in it, has no pages of its own.
  ASSIGN_OR_RETURN(const std::int64_t tables,
                   db.QueryInt("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
                               "name = 'kine' AND rootpage > 0"));
  if (tables != 1) return false;
  // hidden: 0 is a plain column, not one that is computed.
  ASSIGN_OR_RETURN(
      const std::int64_t columns,
      db.QueryInt("SELECT count(*) FROM pragma_table_xinfo('kine') WHERE hidden = 0 AND name IN "
                  "('id', 'name', 'created', 'deleted', 'create_revision', 'prev_revision', "
                  "'lease', 'value', 'old_value')"));
  // Without row ids there are no blobs to be read in pieces.
  return columns == 9 && db.Prepare("SELECT rowid FROM kine").ok();
}

Status ReadKineFacts(Connection& db, SnapshotFacts& facts) {
  ASSIGN_OR_RETURN(const bool has_kine, HasKineTable(db));
  if (!has_kine) return OkStatus();
  // Small values come with their row; length() of a large blob is known without reading it.
  ASSIGN_OR_RETURN(
      Statement rows,
      db.Prepare("SELECT id, name, deleted, prev_revision, rowid, length(value) > 65536, "
                 "iif(length(value) > 65536, NULL, value) FROM kine"));
  kine::ContentReader reader;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Next());
    if (!row) break;
    reader.BeginRow(rows.Int(0), rows.Text(1), rows.Int(2) != 0, rows.Int(3));
    if (rows.Int(5) == 0) {
      reader.Value(rows.Bytes(6));
    } else {
      RETURN_IF_ERROR(db.ReadBlob("kine", "value", rows.Int(4),
                                  [&reader](ByteSpan piece) { reader.Value(piece); }));
    }
    reader.EndRow();
  }
  kine::Content content = reader.Finish();
  facts.revision = content.revision;
  facts.compact_revision = content.compact_revision;
  facts.live_keys = content.live_keys;
  facts.content_hash = std::move(content.content_hash);
  facts.bootstrap = std::move(content.bootstrap);
  return OkStatus();
}

}  // namespace holdfast::sqlite
