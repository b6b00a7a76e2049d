// SQLite's C API with owners and Status: connections, statements, the online backup. Nothing else includes sqlite3.h.
//
// A database may come from anyone: every connection is opened with SQLite's defensive settings, without views, triggers
// and extensions.
// Source: sqlite.org/security.html ("Untrusted SQLite Database Files"), sqlite.org/c3ref.
//
// A connection and its statements belong to one thread at a time. Errors: kDataLoss: damaged, or no database;
// kUnavailable: locked by somebody else; kResourceExhausted: disk full; kCancelled: stopped; kFailedPrecondition: SQL that
// does not fit the schema.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace holdfast::sqlite {

std::string LibraryVersion();

class Connection;

// A prepared statement; its connection must outlive it.
class Statement {
 public:
  // True: a row stands ready. False: there is none any more.
  StatusOr<bool> Next();
  // For statements without rows: runs to the end and is ready to be bound anew.
  Status Run();

  void BindInt(int index, std::int64_t value);
  void BindText(int index, std::string_view value);  // both are referenced, not copied:
  void BindBlob(int index, ByteSpan value);          // they must live until the statement ran
  void BindNull(int index);

  bool IsNull(int column) const;
  std::int64_t Int(int column) const;
  // Of a text or a blob; valid until the next call for this statement.
  ByteSpan Bytes(int column) const;
  std::string_view Text(int column) const { return TextOf(Bytes(column)); }

 private:
  friend class Connection;
  struct Closer {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const Connection& connection, sqlite3_stmt* statement);
  const Connection* connection_;
  std::unique_ptr<sqlite3_stmt, Closer> statement_;
};

enum class Access {
  kRead,       // of a database that others may write: takes locks, follows the write-ahead log
  kImmutable,  // of a file that nobody writes: no locks, no log, no journal
  kWrite,
};

class Connection {
 public:
  // `path` must be absolute. Reads nothing yet: a file that is no database is told by the first statement. What runs on
  // this connection ends soon after a stop request.
  static StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Access access,
                                                    std::stop_token stop = {});
  class Passkey {  // who else wants one calls Open()
    friend class Connection;
    Passkey() = default;
  };
  Connection(Passkey, std::string path, std::stop_token stop)
      : path_(std::move(path)), stop_(std::move(stop)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  const std::string& path() const { return path_; }

  // For kImmutable, opened before the file was written: it is complete now, `bytes` long. Must be the first call. From then
  // on longer values are refused: none in a file can be longer than the file, but an expression in its schema could make
  // one. kDataLoss if it is no database or shorter than it says.
  Status FileIsComplete(std::uint64_t bytes);

  StatusOr<Statement> Prepare(std::string_view sql);
  // Statements without results that matter.
  Status Run(const char* sql);
  // The first column of the only row.
  StatusOr<std::int64_t> QueryInt(std::string_view sql);
  StatusOr<std::string> QueryText(std::string_view sql);

  // A blob or text of a table, in pieces, whatever its size.
  Status ReadBlob(const char* table, const char* column, std::int64_t rowid,
                  const std::function<void(ByteSpan)>& piece);

  // Copies the whole of `from`, as it is at one point, over what is here. In a database in WAL mode writers go on
  // meanwhile.
  Status CopyFrom(Connection& from);

 private:
  friend class Statement;
  struct Closer {
    void operator()(sqlite3* db) const;
  };
  Status ErrorOf(int code, std::string_view what) const;

  std::string path_;
  std::stop_token stop_;
  std::unique_ptr<sqlite3, Closer> db_;
};

}  // namespace holdfast::sqlite
