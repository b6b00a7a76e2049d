#include "mysql/rights.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::mysql {
namespace {

bool IsMariaDb(Connection& server) { return server.version().find("MariaDB") != std::string::npos; }

// Source: the manuals, "CREATE VIEW" (DEFINER), "SUPER", "SET USER" (MariaDB; since 11.0 SUPER does not include it),
// "SET_USER_ID", "SET_ANY_DEFINER" (MySQL 8.0, 8.2). Tried with MariaDB 10.11.
Status CheckDefiners(Connection& server, const Grants& grants, std::string_view account,
                     const SnapshotFacts& facts) {
  if (facts.definers.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<Row> self, server.Query("SELECT CURRENT_USER()"));
  const StatusOr<std::vector<Row>> role = server.Query("SELECT CURRENT_ROLE()");  // if it has any
  std::vector<std::string> others;
  for (const std::string& definer : facts.definers) {
    if (definer != self.at(0)[0] && (!role.ok() || definer != role->at(0)[0]))
      others.push_back(definer);
  }
  const bool mariadb = IsMariaDb(server);
  const bool super = !mariadb || Series(server.version())[0] < 11;
  if (others.empty() || (super && grants.HasGlobally("SUPER")) || grants.HasGlobally("SET USER") ||
      grants.HasGlobally("SET_USER_ID") || grants.HasGlobally("SET_ANY_DEFINER"))
    return OkStatus();
  const std::string_view privilege = mariadb ? "SET USER" : "SET_USER_ID";
  return WithHint(
      PermissionDeniedError("the snapshot holds views, triggers, routines or events of {} (their "
                            "DEFINER), and {} may not make what runs as somebody else: it lacks {}",
                            Join(others, ", "), account, privilege),
      fmt::format("As an administrator: GRANT {} ON *.* TO that account (SUPER on older servers), "
                  "or restore with an administrator's account.",
                  privilege));
}

// Source: the manuals, "Binary Logging of Stored Routines".
Status CheckBinaryLog(Connection& server, const Grants& grants, std::string_view account,
                      const SnapshotFacts& facts) {
  if (!facts.objects.contains("TRIGGER") && !facts.objects.contains("FUNCTION")) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   server.Query("SELECT @@log_bin AND NOT @@log_bin_trust_function_creators"));
  if (rows.at(0)[0] != "1" || grants.HasGlobally("SUPER")) return OkStatus();
  return WithHint(
      PermissionDeniedError("the snapshot holds triggers or functions; where the server keeps a "
                            "binary log, {} may not make them: it lacks SUPER",
                            account),
      "For the time of the restore: SET GLOBAL log_bin_trust_function_creators = 1; or restore "
      "with "
      "an administrator's account.");
}

}  // namespace

std::vector<std::string_view> PrivilegesToLoad(const SnapshotFacts& facts) {
  std::vector<std::string_view> out = {"SELECT", "INSERT", "CREATE",
                                       "DROP",   "ALTER",  "LOCK TABLES"};
  const auto add = [&](std::string_view object,
                       std::initializer_list<std::string_view> privileges) {
    if (facts.objects.contains(std::string(object))) out.insert(out.end(), privileges);
  };
  add("VIEW", {"CREATE VIEW", "SHOW VIEW"});
  add("TRIGGER", {"TRIGGER"});
  add("EVENT", {"EVENT"});
  if (facts.objects.contains("PROCEDURE") || facts.objects.contains("FUNCTION") ||
      facts.objects.contains("PACKAGE"))
    out.insert(out.end(), {"CREATE ROUTINE", "ALTER ROUTINE"});
  return out;
}

Status CheckRights(Connection& server, const Grants& grants, std::string_view account,
                   const std::string& database, const SnapshotFacts& facts) {
  const std::vector<std::string> missing = grants.Missing(PrivilegesToLoad(facts), database);
  if (!missing.empty()) {
    return WithHint(PermissionDeniedError("{} may not restore into database {}: it lacks {}",
                                          account, database, Join(missing, ", ")),
                    fmt::format("As an administrator: GRANT ALL ON {}.* TO that account.",
                                QuoteName(database)));
  }
  RETURN_IF_ERROR(CheckDefiners(server, grants, account, facts));
  return CheckBinaryLog(server, grants, account, facts);
}

}  // namespace holdfast::mysql
