#include "mysql/database.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::mysql {
namespace {

constexpr std::string_view kStaging = "_holdfast_", kOld = "_old";
// Of a database's name, in characters; we count bytes, which are not fewer.
constexpr std::size_t kNameMax = 64;

// LIKE: "%" is anything, "_" one character, "\" takes that from them.
bool Like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '%') {
    for (std::size_t i = 0; i <= text.size(); ++i)
      if (Like(text.substr(i), pattern.substr(1))) return true;
    return false;
  }
  const bool escaped = pattern[0] == '\\' && pattern.size() > 1;
  if (text.empty() || (!(pattern[0] == '_') && text[0] != pattern[escaped ? 1 : 0])) return false;
  return Like(text.substr(1), pattern.substr(escaped ? 2 : 1));
}

std::uint64_t ToNumber(const std::optional<std::string>& field) {
  return field ? ParseUint(*field).value_or(0) : 0;
}

}  // namespace

std::array<std::uint64_t, 2> Series(std::string_view version) {
  const std::vector<std::string> parts = Split(version, '.');
  std::array<std::uint64_t, 2> out{};
  for (std::size_t i = 0; i < out.size() && i < parts.size(); ++i)
    out[i] = ParseUint(parts[i]).value_or(0);
  return out;
}

StatusOr<Grants> Grants::Read(Connection& connection) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, connection.Query("SHOW GRANTS"));
  std::vector<std::string> lines;
  for (const Row& row : rows) lines.push_back(row.at(0).value_or(""));
  return Grants(std::move(lines));
}

bool Grants::HasWhere(std::string_view privilege,
                      const std::function<bool(std::string_view)>& on) const {
  // GRANT SELECT, SHOW VIEW ON `kine`.* TO ...
  constexpr std::string_view kGrant = "GRANT ", kOn = " ON ", kAllTables = ".* TO ";
  for (const std::string_view line : lines_) {
    const std::size_t begin = line.find(kOn), end = line.find(kAllTables);
    if (!line.starts_with(kGrant) || begin == std::string_view::npos ||
        end == std::string_view::npos ||
        !on(line.substr(begin + kOn.size(), end - begin - kOn.size())))
      continue;
    for (const std::string& given : Split(line.substr(kGrant.size(), begin - kGrant.size()), ',')) {
      const std::string_view word = Trim(given);
      if (word == privilege || word == "ALL PRIVILEGES") return true;
    }
  }
  return false;
}

bool Grants::HasGlobally(std::string_view privilege) const {
  return HasWhere(privilege, [](std::string_view pattern) { return pattern == "*"; });
}

bool Grants::Has(std::string_view privilege, std::string_view database) const {
  return HasWhere(privilege, [&](std::string_view pattern) {
    if (pattern == "*") return true;
    if (pattern.size() < 2 || pattern.front() != '`') return false;
    std::string name;
    for (std::size_t i = 1; i + 1 < pattern.size(); ++i) {
      if (pattern[i] == '`') ++i;  // doubled
      name.push_back(pattern[i]);
    }
    return Like(database, name);
  });
}

std::vector<std::string> Grants::Missing(const std::vector<std::string_view>& privileges,
                                         std::string_view database) const {
  std::vector<std::string> missing;
  for (const std::string_view privilege : privileges)
    if (!Has(privilege, database)) missing.emplace_back(privilege);
  return missing;
}

StatusOr<std::optional<Contents>> LookInto(Connection& connection, const std::string& database) {
  const std::string name = Quote(database);
  ASSIGN_OR_RETURN(const std::vector<Row> schema,
                   connection.Query("SELECT default_character_set_name, default_collation_name "
                                    "FROM information_schema.schemata WHERE schema_name = " +
                                    name));
  if (schema.empty()) return std::optional<Contents>();
  Contents out;
  out.character_set = schema[0][0].value_or("");
  out.collation = schema[0][1].value_or("");
  ASSIGN_OR_RETURN(
      const std::vector<Row> tables,
      connection.Query(
          "SELECT t.table_name, t.table_type, t.data_length + t.index_length, e.transactions "
          "FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = "
          "t.engine "
          "WHERE t.table_schema = " +
          name + " ORDER BY 1"));
  for (const Row& row : tables) {
    const std::string table = row[0].value_or(""), type = row[1].value_or("");
    if (type.find("VIEW") != std::string::npos) {
      ++out.others;
      continue;
    }
    out.tables.push_back(table);
    out.bytes += ToNumber(row[2]);
    if (type == "SYSTEM VERSIONED") out.versioned.push_back(table);
    if (type != "SEQUENCE" && row[3] != "YES") out.unsafe.push_back(table);
  }
  ASSIGN_OR_RETURN(
      const std::vector<Row> columns,
      connection.Query("SELECT CONCAT(table_name, '.', column_name), data_type FROM "
                       "information_schema.columns JOIN information_schema.tables USING "
                       "(table_schema, table_name) WHERE table_type <> 'VIEW' AND table_schema = " +
                       name +
                       " AND (data_type = 'float' OR (data_type = 'bigint' AND "
                       "generation_expression = 'ROW START')) ORDER BY 1"));
  for (const Row& row : columns) {
    if (row[1] == "float") out.floats.push_back(row[0].value_or(""));
    if (row[1] == "bigint") out.by_transaction = true;
  }
  ASSIGN_OR_RETURN(
      const std::vector<Row> counts,
      connection.Query(
          "SELECT (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = " +
          name +
          ") + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = " + name +
          "), (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = " + name +
          "), (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = " + name +
          " AND routine_definition IS NULL), (SELECT COUNT(DISTINCT column_name) FROM "
          "information_schema.columns WHERE table_name = 'kine' AND column_name IN ('id', 'name', "
          "'created', 'deleted', 'create_revision', 'prev_revision', 'lease', 'value', "
          "'old_value') AND "
          "table_schema = " +
          name + ")"));
  out.others += ToNumber(counts.at(0)[0]) + ToNumber(counts[0][1]);
  out.unreadable_routines = ToNumber(counts[0][2]);
  out.has_kine = ToNumber(counts[0][3]) == 9;
  return std::optional<Contents>(std::move(out));
}

StatusOr<std::vector<std::string>> UsersOf(Connection& connection, const std::string& database) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.Query("SELECT CONCAT(user, '@', SUBSTRING_INDEX(host, ':', 1)), COUNT(*) FROM "
                       "information_schema.processlist WHERE id <> CONNECTION_ID() AND db = " +
                       Quote(database) + " GROUP BY 1 ORDER BY 1"));
  std::vector<std::string> users;
  for (const Row& row : rows)
    users.push_back(fmt::format("{} ({})", row[0].value_or(""), row[1].value_or("")));
  return users;
}

StatusOr<std::vector<std::string>> PointingInto(Connection& connection,
                                                const std::string& database) {
  const std::string name = Quote(database);
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.Query(
          "SELECT DISTINCT CONCAT(constraint_schema, '.', table_name) FROM "
          "information_schema.referential_constraints WHERE unique_constraint_schema = " +
          name + " AND constraint_schema <> " + name + " ORDER BY 1"));
  std::vector<std::string> tables;
  for (const Row& row : rows) tables.push_back(row[0].value_or(""));
  return tables;
}

StatusOr<std::vector<std::string>> LeftOvers(Connection& connection, const std::string& database) {
  const std::string prefix = StagingName(database, 0);
  const std::string begin = prefix.substr(0, prefix.size() - 1);
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.Query(fmt::format("SELECT schema_name FROM information_schema.schemata WHERE "
                                   "LEFT(schema_name, CHAR_LENGTH({0})) = {0}",
                                   Quote(begin))));
  std::vector<std::string> names;
  for (const Row& row : rows) names.push_back(row[0].value_or(""));
  return names;
}

bool CanDumpHistory(const Tools& tools, const Connection& server, const Contents& contents) {
  constexpr std::array<std::uint64_t, 2> kSince = {10, 11};
  return !contents.versioned.empty() && !contents.by_transaction && !tools.of_mysql &&
         Series(tools.version) >= kSince && Series(server.version()) >= kSince;
}

std::string StagingName(std::string_view database, std::int64_t unix_seconds) {
  const std::string end = fmt::format("{}{}", kStaging, unix_seconds);
  constexpr std::size_t kNumberMax = 11;
  std::size_t keep =
      std::min(database.size(), kNameMax - kStaging.size() - kNumberMax - kOld.size());
  // Not in the middle of a character.
  while (keep < database.size() && keep > 0 &&
         (static_cast<unsigned char>(database[keep]) & 0xc0) == 0x80)
    --keep;
  return std::string(database.substr(0, keep)) + end;
}

std::string OldName(std::string_view database, std::int64_t unix_seconds) {
  return StagingName(database, unix_seconds).append(kOld);
}

}  // namespace holdfast::mysql
