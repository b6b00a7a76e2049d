// What PostgreSQL's own catalogue says of a database: is kine's table there, is it empty, may all of it be read.
#pragma once

#include "postgres/connection.h"

namespace holdfast::postgres {

struct KineTable {
  std::string schema;
  std::string name = "kine";
  // "public"."kine"
  std::string Quoted() const { return QuoteName(schema) + "." + QuoteName(name); }
};

// The table kine that the user sees first, or, who sees none, the only one in other schemas (kine's search_path may be a
// setting of its user); if it has kine's columns and nothing else that would make its rows a matter for pg_dump (row
// security, partitions).
StatusOr<std::optional<KineTable>> FindKineTable(Connection& connection);

// Nothing that a user made, be it a type or a large object: only what initdb made, the schema public, and extensions with
// what belongs to them.
StatusOr<bool> IsEmpty(Connection& connection);

// kPermissionDenied, with their names, if there are tables or sequences that the user may not read.
Status CheckReadable(Connection& connection);

// Other clients in this database, at most six: "kine@10.0.0.1 (k3s)"; not ours. Who has just left is still seen for a
// moment: waits some seconds for all to be gone.
StatusOr<std::vector<std::string>> OtherSessions(Connection& connection);

StatusOr<std::uint64_t> DatabaseBytes(Connection& connection);

// From template0; `options` as in SQL: " ENCODING = 'UTF8'". What they leave open is as in template0.
Status CreateDatabase(Connection& connection, const std::string& name,
                      const std::string& options = "");
// One that we created and that nobody else uses. What cannot be dropped is left over, and logged.
void DropDatabase(Connection& connection, const std::string& name);

// Those of `roles` that do not exist on the server.
StatusOr<std::vector<std::string>> MissingRoles(Connection& connection,
                                                const std::vector<std::string>& roles);

}  // namespace holdfast::postgres
