#include "mysql/tools.h"

#include "base/path.h"
#include "os/process.h"

namespace holdfast::mysql {
namespace {

constexpr absl::Duration kVersionLimit = absl::Seconds(20);

StatusOr<std::string> FindEither(const std::string& mariadb, const std::string& mysql) {
  StatusOr<std::string> found = FindProgram(mariadb);
  if (!found.ok()) found = FindProgram(mysql);
  if (found.ok()) return found;
  return WithHint(FailedPreconditionError("neither {} nor {} is on PATH", mariadb, mysql),
                  "Install the package mariadb-client, or MySQL's client.");
}

// "... Ver 10.19 Distrib 10.11.19-MariaDB, for ...", "... from 11.4.2-MariaDB, client ...", "... Ver 8.0.36 for Linux ...".
std::string VersionIn(const std::string& text) {
  for (const std::string_view before : {"Distrib ", "from ", "Ver "}) {
    const std::size_t at = text.find(before);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + before.size();
    return text.substr(begin, text.find_first_not_of("0123456789.", begin) - begin);
  }
  return "";
}

ToolOptions Command(const Tools& tools, const std::string& program, const Endpoint& e) {
  ToolOptions out{.argv = {program, "--no-defaults", "--user=" + e.user, "--max-allowed-packet=1G"},
                  .environment = {"MYSQL_PWD=" + e.password.reveal()}};
  const auto add = [&](std::string argument) { out.argv.push_back(std::move(argument)); };
  if (e.socket.empty()) {
    add("--protocol=tcp");
    add("--host=" + e.host);
    add(fmt::format("--port={}", e.port));
  } else {
    add("--protocol=socket");
    add("--socket=" + e.socket);
  }
  if (e.tls == Tls::kOff) {
    if (!tools.of_mysql) add("--skip-ssl");
    return out;
  }
  const bool verify = e.tls == Tls::kVerified;
  if (tools.of_mysql) {
    add(!verify ? "--ssl-mode=REQUIRED" : "--ssl-mode=VERIFY_IDENTITY");
  } else {
    add("--ssl");
    add(verify ? "--ssl-verify-server-cert" : "--skip-ssl-verify-server-cert");
  }
  if (!e.ca_file.empty()) add("--ssl-ca=" + e.ca_file);
  if (!e.certificate_file.empty()) add("--ssl-cert=" + e.certificate_file);
  if (!e.key_file.empty()) add("--ssl-key=" + e.key_file);
  return out;
}

}  // namespace

StatusOr<Tools> FindTools() {
  Tools tools;
  ASSIGN_OR_RETURN(tools.dump, FindEither("mariadb-dump", "mysqldump"));
  ASSIGN_OR_RETURN(tools.client, FindEither("mariadb", "mysql"));
  ASSIGN_OR_RETURN(const std::string version, RunAndRead({tools.dump, "--version"}, kVersionLimit));
  tools.of_mysql = version.find("MariaDB") == std::string::npos;
  tools.version = VersionIn(version);
  return tools;
}

ToolOptions DumpCommand(const Tools& tools, const Endpoint& endpoint, const std::string& database,
                        const DumpParts& parts) {
  ToolOptions out = Command(tools, tools.dump, endpoint);
  const auto add = [&](std::string argument) { out.argv.push_back(std::move(argument)); };
  add(parts.as_bytes ? "--default-character-set=binary" : "--default-character-set=utf8mb4");
  add("--single-transaction");
  add("--quick");
  add("--no-tablespaces");  // they belong to the server, and need the privilege PROCESS
  add(parts.triggers ? "--triggers" : "--skip-triggers");
  add(parts.routines ? "--routines" : "--skip-routines");
  add(parts.events ? "--events" : "--skip-events");
  if (parts.history) add("--dump-history");
  if (tools.of_mysql)
    add("--set-gtid-purged=OFF");  // a restore must not touch the server's replication
  add("--");
  add(database);
  return out;
}

ToolOptions LoadCommand(const Tools& tools, const Endpoint& endpoint, const std::string& database) {
  ToolOptions out = Command(tools, tools.client, endpoint);
  const auto add = [&](std::string argument) { out.argv.push_back(std::move(argument)); };
  add("--default-character-set=utf8mb4");  // the dump sets its own
  add("--batch");
  // Values are bytes, and the text cannot run commands of the client ("\! rm").
  add("--binary-mode");
  add("--local-infile=0");
  add("--loose-skip-print-query-on-error");
  add("--database=" + database);
  return out;
}

}  // namespace holdfast::mysql
