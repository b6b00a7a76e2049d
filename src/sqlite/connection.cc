#include "sqlite/connection.h"

#include <sqlite3.h>

#include <algorithm>
#include <vector>

namespace holdfast::sqlite {
namespace {

// Kine waits 30 s for a lock (its _busy_timeout); so do we.
constexpr int kBusyTimeoutMs = 30'000;
// Between two looks at the stop token: of SQLite's virtual machine, and of pages copied.
constexpr int kInstructionsPerLook = 10'000, kPagesPerStep = 1'024;
// A database that is smaller may still be asked questions whose answers are as long.
constexpr std::uint64_t kValueBytesMin = 1 * kMiB, kValueBytesMax = 1'000'000'000;
constexpr std::size_t kBlobPiece = 256 * kKiB;

StatusCode CodeOf(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_IOERR:
      return StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return StatusCode::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return StatusCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return StatusCode::kPermissionDenied;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
      return StatusCode::kCancelled;
    case SQLITE_CONSTRAINT:
      return StatusCode::kAlreadyExists;
    default:
      return StatusCode::kFailedPrecondition;
  }
}

// As SQLite's URIs want it: "immutable" can be said only there. Source: sqlite.org/uri.html
std::string UriOf(const std::string& path, Access access) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return access == Access::kImmutable ? uri + "?immutable=1" : uri;
}

int StopRequested(void* stop) { return static_cast<std::stop_token*>(stop)->stop_requested(); }

}  // namespace

std::string LibraryVersion() { return sqlite3_libversion(); }

// --- Statement ---

Statement::Statement(const Connection& connection, sqlite3_stmt* statement)
    : connection_(&connection), statement_(statement) {}

void Statement::Closer::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

StatusOr<bool> Statement::Next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->ErrorOf(code, "");
}

Status Statement::Run() {
  StatusOr<bool> row = true;
  while (row.ok() && *row) row = Next();
  sqlite3_reset(statement_.get());
  return row.status();
}

// Binding fails only for an index that is not there or for want of memory; Next() tells then.
void Statement::BindInt(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
}
void Statement::BindText(int index, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}
void Statement::BindBlob(int index, ByteSpan value) {
  // A null pointer would be NULL rather than an empty blob.
  const void* data = value.empty() ? static_cast<const void*>("") : value.data();
  sqlite3_bind_blob64(statement_.get(), index, data, value.size(), SQLITE_STATIC);
}
void Statement::BindNull(int index) { sqlite3_bind_null(statement_.get(), index); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
std::int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
ByteSpan Statement::Bytes(int column) const {
  const auto* data =
      static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

// --- Connection ---

void Connection::Closer::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Connection::~Connection() = default;

Status Connection::ErrorOf(int code, std::string_view what) const {
  std::string message(what);
  if (!message.empty()) message += ": ";
  message += db_ ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(code);
  if (const int number = db_ ? sqlite3_system_errno(db_.get()) : 0;
      number != 0 && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR)) {
    return Annotate(ErrnoError(number, message), path_);
  }
  return MakeStatus(CodeOf(code), fmt::format("{}: {}", path_, message));
}

StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Access access,
                                                       std::stop_token stop) {
  auto out = std::make_unique<Connection>(Passkey(), path, std::move(stop));
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(UriOf(path, access).c_str(), &db,
                      (access == Access::kWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) |
                          SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE,
                      nullptr);
  out->db_.reset(db);
  if (code != SQLITE_OK) return out->ErrorOf(code, "open");
  for (const auto& [option, value] : {std::pair(SQLITE_DBCONFIG_DEFENSIVE, 1),
                                      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                      {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                      {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                      {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}}) {
    sqlite3_db_config(db, option, value, nullptr);
  }
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  sqlite3_progress_handler(db, kInstructionsPerLook, StopRequested, &out->stop_);
  RETURN_IF_ERROR(
      out->Run("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
               "PRAGMA temp_store = MEMORY; PRAGMA ignore_check_constraints = ON"));
  return out;
}

Status Connection::FileIsComplete(std::uint64_t bytes) {
  sqlite3_limit(db_.get(), SQLITE_LIMIT_LENGTH,
                static_cast<int>(std::clamp(bytes, kValueBytesMin, kValueBytesMax)));
  // SQLite asks for the size of an immutable file when it opens it, and again when the size of pages changes: to one that
  // is not the default, and then to that of the file. If that should ever change, it would take the file for empty.
  RETURN_IF_ERROR(Run("PRAGMA page_size = 65536"));
  ASSIGN_OR_RETURN(const std::int64_t pages, QueryInt("PRAGMA page_count"));
  ASSIGN_OR_RETURN(const std::int64_t page_size, QueryInt("PRAGMA page_size"));
  const auto expected = CheckedCast<std::uint64_t>(pages) * CheckedCast<std::uint64_t>(page_size);
  if (pages > 0 && expected <= bytes) return OkStatus();
  return DataLossError("{}: {} bytes, but {} pages of {}", path_, bytes, pages, page_size);
}

StatusOr<Statement> Connection::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return ErrorOf(code, "");
  return Statement(*this, statement);
}

Status Connection::Run(const char* sql) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : ErrorOf(code, "");
}

StatusOr<std::int64_t> Connection::QueryInt(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Next());
  return row ? statement.Int(0) : 0;
}

StatusOr<std::string> Connection::QueryText(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Next());
  return std::string(row ? statement.Text(0) : "");
}

Status Connection::ReadBlob(const char* table, const char* column, std::int64_t rowid,
                            const std::function<void(ByteSpan)>& piece) {
  sqlite3_blob* raw = nullptr;
  int code = sqlite3_blob_open(db_.get(), "main", table, column, rowid, /*flags=*/0, &raw);
  const std::unique_ptr<sqlite3_blob, int (*)(sqlite3_blob*)> blob(raw, sqlite3_blob_close);
  if (code != SQLITE_OK) return ErrorOf(code, fmt::format("value of row {}", rowid));
  const auto size = static_cast<std::size_t>(sqlite3_blob_bytes(raw));
  std::vector<std::uint8_t> buffer(std::min(size, kBlobPiece));
  for (std::size_t offset = 0; offset < size; offset += buffer.size()) {
    const std::size_t n = std::min(buffer.size(), size - offset);
    code = sqlite3_blob_read(raw, buffer.data(), static_cast<int>(n), static_cast<int>(offset));
    if (code != SQLITE_OK) return ErrorOf(code, fmt::format("value of row {}", rowid));
    if (stop_.stop_requested()) return CancelledError("{}: stopped", path_);
    piece(ByteSpan(buffer).first(n));
  }
  return OkStatus();
}

Status Connection::CopyFrom(Connection& from) {
  // One read transaction for all steps: without it every commit of another process would start the copy again, and under
  // a steady writer it would never end.
  RETURN_IF_ERROR(from.Run("BEGIN"));
  RETURN_IF_ERROR(from.QueryInt("SELECT count(*) FROM sqlite_schema").status());
  Status done = [&] {
    const std::unique_ptr<sqlite3_backup, int (*)(sqlite3_backup*)> backup(
        sqlite3_backup_init(db_.get(), "main", from.db_.get(), "main"), sqlite3_backup_finish);
    if (!backup) return ErrorOf(sqlite3_errcode(db_.get()), "");
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
      if (from.stop_.stop_requested()) return CancelledError("{}: stopped", from.path_);
      code = sqlite3_backup_step(backup.get(), kPagesPerStep);
    }
    if (code == SQLITE_DONE) return OkStatus();
    // The error is in the handle of the copy whichever side it came from.
    return MakeStatus(CodeOf(code), sqlite3_errstr(code));
  }();
  // best effort: nothing was written, closing ends the transaction as well
  (void)from.Run("ROLLBACK");
  return done;
}

}  // namespace holdfast::sqlite
