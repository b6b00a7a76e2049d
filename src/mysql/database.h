// What one database of a server holds and what our account may do there, from information_schema and SHOW GRANTS.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mysql/connection.h"
#include "mysql/tools.h"

namespace holdfast::mysql {

// {10, 11} of "10.11.19-MariaDB-...".
std::array<std::uint64_t, 2> Series(std::string_view version);

// The grants of an account, as SHOW GRANTS prints them.
class Grants {
 public:
  static StatusOr<Grants> Read(Connection& connection);
  explicit Grants(std::vector<std::string> lines) : lines_(std::move(lines)) {}

  // Is `privilege` ("SELECT") given for all of `database`, there or globally?
  bool Has(std::string_view privilege, std::string_view database) const;
  // Those of them that are not.
  std::vector<std::string> Missing(const std::vector<std::string_view>& privileges,
                                   std::string_view database) const;
  // For the whole server: "PROCESS".
  bool HasGlobally(std::string_view privilege) const;

 private:
  bool HasWhere(std::string_view privilege,
                const std::function<bool(std::string_view pattern)>& on) const;

  std::vector<std::string> lines_;
};

struct Contents {
  std::string character_set, collation;  // of the database
  std::uint64_t bytes = 0;               // about
  std::vector<std::string> tables;       // and sequences, by name
  std::vector<std::string> unsafe;  // of these without transactions: a dump is not consistent there
  std::vector<std::string> versioned;  // of these with system versioning: they keep their history
  bool by_transaction =
      false;  // such a history is kept by transactions, not by time: no tool saves it
  std::vector<std::string> floats;  // "t.c": the tools print 6 digits of them
  std::uint64_t others = 0;  // views, triggers, routines, events: what no RENAME TABLE can move
  std::uint64_t unreadable_routines = 0;
  bool has_kine = false;  // a table `kine` with kine's columns

  bool empty() const { return tables.empty() && others == 0; }
};

// None if there is no such database, or our account may not know of it.
StatusOr<std::optional<Contents>> LookInto(Connection& connection, const std::string& database);

// Can a dump hold the history of its tables, and must it? Source: the manual, "mariadb-dump" (--dump-history, since 10.11).
bool CanDumpHistory(const Tools& tools, const Connection& server, const Contents& contents);

// "kine@10.0.0.7 (2)" for each account and host that has chosen this database, our own connection aside. Others' are seen
// with the privilege PROCESS only; those of the same account always.
StatusOr<std::vector<std::string>> UsersOf(Connection& connection, const std::string& database);

// "b.c" for each table of another database with a foreign key into this one; as far as our account sees such tables.
StatusOr<std::vector<std::string>> PointingInto(Connection& connection,
                                                const std::string& database);

// Databases that a restore into this one has left behind (load.h).
StatusOr<std::vector<std::string>> LeftOvers(Connection& connection, const std::string& database);
// The name of the database that such a restore loads into first; and of the one where it puts the old tables.
std::string StagingName(std::string_view database, std::int64_t unix_seconds);
std::string OldName(std::string_view database, std::int64_t unix_seconds);

}  // namespace holdfast::mysql
