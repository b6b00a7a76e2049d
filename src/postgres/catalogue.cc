#include "postgres/catalogue.h"

#include "base/log.h"
#include "base/text.h"

namespace holdfast::postgres {
namespace {

StatusOr<std::vector<std::string>> Names(Connection& connection, const std::string& sql,
                                         const std::vector<std::string>& values = {}) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, connection.Query(sql, values));
  std::vector<std::string> out;
  for (const Row& row : rows) out.push_back(row[0].value_or(""));
  return out;
}

}  // namespace

StatusOr<std::optional<KineTable>> FindKineTable(Connection& connection) {
  // Widths and kinds of text differ between kine's versions: bigint or integer, text or varchar.
  ASSIGN_OR_RETURN(
      const std::vector<std::string> schemas,
      Names(
          connection,
          "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
          "WHERE c.relname = 'kine' AND (c.oid = to_regclass('kine') OR to_regclass('kine') IS "
          "NULL) AND c.relkind = 'r' AND NOT c.relispartition AND "
          "NOT c.relhassubclass AND NOT c.relrowsecurity AND n.nspname !~ '^pg_' AND "
          "(SELECT count(*) = 9 AND bool_and(a.attgenerated = '' AND ("
          "a.attname IN ('id', 'created', 'deleted', 'create_revision', 'prev_revision', 'lease')"
          " AND a.atttypid IN ('int4'::regtype, 'int8'::regtype) OR "
          "a.attname = 'name' AND a.atttypid IN ('text'::regtype, 'varchar'::regtype) OR "
          "a.attname IN ('value', 'old_value') AND a.atttypid = 'bytea'::regtype)) "
          "FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"));
  if (schemas.size() != 1) return std::nullopt;
  return KineTable{.schema = schemas[0]};
}

StatusOr<bool> IsEmpty(Connection& connection) {
  // From FirstNormalObjectId (16384) on oids are those of what came after initdb; of large objects anybody chooses them.
  // Whatever lies in a schema or needs something else stands in pg_depend; what belongs to another object, as an index to
  // its table or a function to its extension, depends on it in a way of its own (documentation of pg_depend). The rest is
  // named here.
  ASSIGN_OR_RETURN(
      const std::vector<Row> found,
      connection.Query(
          "WITH made AS (SELECT classid, objid FROM pg_depend "
          "UNION SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname !~ '^pg_' "
          "AND nspname <> 'public' "
          "UNION SELECT 'pg_cast'::regclass, oid FROM pg_cast "
          "UNION SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper "
          "UNION SELECT 'pg_publication'::regclass, oid FROM pg_publication) "
          "SELECT FROM made m WHERE objid >= 16384 AND classid <> 'pg_extension'::regclass AND "
          "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = m.classid AND d.objid = m.objid "
          "AND d.objsubid = 0 AND (d.deptype IN ('a', 'i', 'P', 'S', 'e') OR "
          "d.refclassid = 'pg_namespace'::regclass AND d.refobjid IN "
          "(SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_temp_'))) "
          "UNION ALL SELECT FROM pg_largeobject_metadata LIMIT 1"));
  return found.empty();
}

Status CheckReadable(Connection& connection) {
  ASSIGN_OR_RETURN(
      const std::vector<std::string> names,
      Names(connection,
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = "
            "c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND "
            "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND "
            "d.objid = c.oid AND d.deptype = 'e') AND c.relkind IN ('r', 'p', 'm', 'S') AND NOT "
            "(has_schema_privilege(n.oid, "
            "'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1 LIMIT 6"));
  if (names.empty()) return OkStatus();
  return WithHint(
      PermissionDeniedError("the user may not read {}", Join(names, ", ")),
      "Grant it: GRANT USAGE ON SCHEMA ..., GRANT SELECT ON ALL TABLES IN SCHEMA ..., GRANT "
      "SELECT ON ALL SEQUENCES IN SCHEMA ...; or give it the role pg_read_all_data.");
}

StatusOr<std::vector<std::string>> OtherSessions(Connection& connection) {
  constexpr int kLooks = 20;
  std::vector<std::string> others;
  for (int look = 0; look < kLooks; ++look) {
    if (look > 0) RETURN_IF_ERROR(connection.Query("SELECT pg_sleep(0.25)").status());
    ASSIGN_OR_RETURN(
        others,
        Names(connection,
              "SELECT usename || coalesce('@' || host(client_addr), '') || "
              "coalesce(nullif(' (' || application_name || ')', ' ()'), '') FROM pg_stat_activity "
              "WHERE datname = current_database() AND pid <> pg_backend_pid() AND "
              "coalesce(backend_type, 'client backend') = 'client backend' AND "
              "application_name <> 'holdfast' ORDER BY 1 LIMIT 6"));
    if (others.empty()) break;
  }
  return others;
}

StatusOr<std::uint64_t> DatabaseBytes(Connection& connection) {
  ASSIGN_OR_RETURN(const std::vector<std::string> size,
                   Names(connection, "SELECT pg_database_size(current_database())"));
  return size.empty() ? 0 : ParseUint(size[0]).value_or(0);
}

Status CreateDatabase(Connection& connection, const std::string& name, const std::string& options) {
  return Annotate(connection.Execute(fmt::format("CREATE DATABASE {} TEMPLATE template0{}",
                                                 QuoteName(name), options)),
                  "create database " + name);
}

void DropDatabase(Connection& connection, const std::string& name) {
  connection.IgnoreStop();
  // Who is in it still is pg_restore, killed a moment ago.
  const Status status =
      connection.Execute(fmt::format("DROP DATABASE IF EXISTS {}{}", QuoteName(name),
                                     connection.major() >= 13 ? " WITH (FORCE)" : ""));
  if (!status.ok())
    LogWarn("Database {}, which was made a moment ago, is left over: {}", name, MessageOf(status));
}

StatusOr<std::vector<std::string>> MissingRoles(Connection& connection,
                                                const std::vector<std::string>& roles) {
  std::vector<std::string> out;
  for (const std::string& role : roles) {
    ASSIGN_OR_RETURN(const std::vector<std::string> found,
                     Names(connection, "SELECT rolname FROM pg_roles WHERE rolname = $1", {role}));
    if (found.empty()) out.push_back(role);
  }
  return out;
}

}  // namespace holdfast::postgres
