#include "postgres/restore_dump.h"

#include <algorithm>
#include <set>

#include "base/checksum.h"
#include "base/log.h"
#include "base/text.h"
#include "datastore/tool_stream.h"
#include "formats/pgdump/sql.h"
#include "postgres/catalogue.h"
#include "postgres/tools.h"

namespace holdfast::postgres {
namespace {

constexpr std::size_t kBlockBytes = 256 * kKiB;
constexpr absl::Duration kPatience = absl::Minutes(1);
// At the end of it pg_restore builds all indexes, and nothing moves.
constexpr absl::Duration kRestorePatience = absl::Hours(12);

// One row for a right that the user lacks: as the end of "user x ...".
constexpr char kMissingRestoreRights[] =
    "SELECT 'may not create schemas in the database' WHERE NOT "
    "has_database_privilege(current_database(), 'CREATE') UNION ALL "
    "SELECT 'may not create tables in the schema public' FROM pg_namespace WHERE nspname = "
    "'public' "
    "AND NOT has_schema_privilege(oid, 'CREATE') UNION ALL "
    "SELECT 'does not own ' || n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n "
    "ON "
    "n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND "
    "c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT pg_has_role(c.relowner, 'USAGE') LIMIT 1";

int LeadingNumber(std::string_view text) {
  const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
  return static_cast<int>(ParseUint(text.substr(0, end)).value_or(0) % 1000);
}

Status CheckExisting(Connection& connection, const Endpoint& endpoint, bool clean) {
  ASSIGN_OR_RETURN(const bool empty, IsEmpty(connection));
  if (!empty && !clean) {
    return WithHint(
        FailedPreconditionError("database {} is not empty", endpoint.database()),
        "Give --clean to replace what is in it, or the name of a database that does not "
        "exist yet: it is created.");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> others, OtherSessions(connection));
  if (!others.empty()) {
    return WithHint(
        FailedPreconditionError("database {} is in use by {}", endpoint.database(),
                                Join(others, ", ")),
        "Stop the servers that use it first: they would not understand that its content "
        "changes under them.");
  }
  ASSIGN_OR_RETURN(const std::vector<Row> lacking, connection.Query(kMissingRestoreRights));
  if (lacking.empty()) return OkStatus();
  return WithHint(
      PermissionDeniedError("user {} {}", endpoint.settings.at("user"), lacking[0][0].value_or("")),
      "Restore as the owner of the database or as a superuser.");
}

Status CheckMayCreate(Connection& connection, const Endpoint& endpoint) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.Query(
          "SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreatedb OR rolsuper)"));
  if (!rows.empty()) return OkStatus();
  return WithHint(
      PermissionDeniedError("database {} does not exist, and user {} may not create it",
                            endpoint.database(), endpoint.settings.at("user")),
      fmt::format("As a superuser: CREATE DATABASE {} OWNER {};", QuoteName(endpoint.database()),
                  QuoteName(endpoint.settings.at("user"))));
}

Status CheckTarget(const Target& target, const Endpoint& endpoint, bool clean) {
  return target.exists ? CheckExisting(*target.connection, endpoint, clean)
                       : CheckMayCreate(*target.connection, endpoint);
}

// What the dump needs of the server of the target.
Status CheckHead(const pgdump::Head& head, const Target& target) {
  Connection& connection = *target.connection;
  const int from = LeadingNumber(head.server_version);
  if (connection.major() < from) {
    return WithHint(
        FailedPreconditionError("the dump is of PostgreSQL {}, and the server is PostgreSQL {}",
                                head.server_version, connection.version()),
        fmt::format("Restore it into PostgreSQL {} or later.", from));
  }
  std::set<std::string> roles;
  for (const pgdump::Entry& entry : head.entries) {
    if (target.exists && pgdump::IsOfDatabase(entry)) continue;
    if (!entry.owner.empty()) roles.insert(entry.owner);
    for (std::string& role : pgdump::RolesNamed(entry)) roles.insert(std::move(role));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> missing,
                   MissingRoles(connection, {roles.begin(), roles.end()}));
  if (missing.empty()) return OkStatus();
  std::string commands;
  for (const std::string& role : missing)
    commands += fmt::format(" CREATE ROLE {};", QuoteName(role));
  return WithHint(
      FailedPreconditionError("the dump needs roles that do not exist on this server: {}",
                              Join(missing, ", ")),
      "As a superuser:" + commands);
}

// Reads the head of a dump, and hands on whatever it read.
Status ReadHead(const std::function<StatusOr<ByteSpan>()>& next_block, pgdump::HeadParser& parser,
                std::string& beyond) {
  while (!parser.complete()) {
    ASSIGN_OR_RETURN(const ByteSpan data, next_block());
    if (data.empty()) return DataLossError("the dump ends within its table of contents");
    ASSIGN_OR_RETURN(const std::size_t taken, parser.Take(data));
    beyond.assign(TextOf(data.subspan(taken)));
  }
  return OkStatus();
}

// A database with the encoding, locale and tablespace of the dump's.
Status CreateLike(const pgdump::Head& head, Connection& connection, const std::string& name) {
  std::string options = pgdump::DatabaseOptions(head, connection.major());
  if (options.empty() && !head.Encoding().empty())
    options = " ENCODING = " + QuoteText(head.Encoding());
  const Status status = CreateDatabase(connection, name, options);
  if (status.ok()) return status;
  return WithHint(status,
                  "If this server lacks what that needs, create the database yourself and restore "
                  "into it.");
}

// What else belongs to the database itself: owner, settings, rights, comment. pg_restore would bring them back only outside
// of a transaction and under the old name. What this user may not do is left out, and logged without any value.
Status SetLike(const pgdump::Head& head, Connection& connection, const std::string& name) {
  std::vector<pgdump::Statement> statements;
  for (const pgdump::Entry& entry : head.entries) {
    if (!pgdump::IsOfDatabase(entry)) continue;
    if (entry.kind != "DATABASE") {
      auto more = pgdump::ForDatabase(entry, head.database, QuoteName(name));
      std::move(more.begin(), more.end(), std::back_inserter(statements));
    } else if (!entry.owner.empty()) {
      const std::string sql =
          fmt::format("ALTER DATABASE {} OWNER TO {}", QuoteName(name), QuoteName(entry.owner));
      statements.insert(statements.begin(), {sql, sql});
    }
  }
  if (!head.Encoding().empty())
    RETURN_IF_ERROR(connection.Execute("SET client_encoding = " + QuoteText(head.Encoding())));
  for (const auto& [sql, shown] : statements) {
    const Status status = connection.Execute(sql);
    if (absl::IsUnavailable(status) || absl::IsCancelled(status)) return status;
    if (!status.ok()) LogWarn("Not restored, the server refuses it to this user: {}", shown);
  }
  return connection.Execute("RESET client_encoding");
}

class Restore {
 public:
  Restore(FileSystem& fs, const Endpoint& endpoint, Source& payload, const RestoreOptions& options)
      : fs_(fs), endpoint_(endpoint), payload_(payload), options_(options) {}

  Status Run() {
    ASSIGN_OR_RETURN(const Target target, OpenTarget(endpoint_, {kPatience, options_.stop}));
    RETURN_IF_ERROR(CheckTarget(target, endpoint_, options_.clean));
    RETURN_IF_ERROR(ReadHead([this] { return ReadBlock(); }, parser_, pending_));
    const pgdump::Head& head = parser_.head();
    pending_.insert(0, head.bytes);
    RETURN_IF_ERROR(CheckHead(head, target));
    ASSIGN_OR_RETURN(const Tool tool,
                     FindTool(fs_, "pg_restore", LeadingNumber(head.dump_version)));
    const std::string& database = endpoint_.database();
    Status status;
    if (!target.exists) {
      RETURN_IF_ERROR(CreateLike(head, *target.connection, database));
      status = SetLike(head, *target.connection, database);
    }
    if (status.ok()) status = Feed(tool);
    if (!status.ok() && !target.exists) DropDatabase(*target.connection, database);
    return status;
  }

 private:
  // Feeds pg_restore with all of it, the last part only when the digest of the whole is right: without that part the
  // transaction does not end.
  Status Feed(const Tool& tool) {
    std::vector<std::string> argv = {tool.path, "--single-transaction", "--exit-on-error",
                                     "--no-password",
                                     "--dbname=" + endpoint_.ToolDatabase(endpoint_.database())};
    if (options_.clean) argv.insert(argv.end(), {"--clean", "--if-exists"});
    ASSIGN_OR_RETURN(const auto sink, WriteToTool({.argv = std::move(argv),
                                                   .environment = endpoint_.ToolEnvironment(),
                                                   .stop = options_.stop,
                                                   .stall_timeout = kRestorePatience}));
    while (true) {
      ASSIGN_OR_RETURN(const ByteSpan data, ReadBlock());
      if (data.empty()) break;
      RETURN_IF_ERROR(sink->Write(BytesOf(pending_)));
      pending_.assign(TextOf(data));
      if (options_.on_progress) options_.on_progress(bytes_);
    }
    const std::string sha256 = HexOf(hash_.Finish());
    if (!options_.facts.sha256.empty() && options_.facts.sha256 != sha256) {
      return DataLossError("the dump has the SHA-256 {}, and {} was expected", sha256,
                           options_.facts.sha256);
    }
    RETURN_IF_ERROR(sink->Write(BytesOf(pending_)));
    return sink->Finish();
  }

  StatusOr<ByteSpan> ReadBlock() {
    ASSIGN_OR_RETURN(const std::size_t n, payload_.Read(block_));
    const ByteSpan data = ByteSpan(block_).first(n);
    hash_.Update(data);
    bytes_ += n;
    return data;
  }

  FileSystem& fs_;
  const Endpoint& endpoint_;
  Source& payload_;
  const RestoreOptions& options_;
  pgdump::HeadParser parser_;
  std::vector<std::uint8_t> block_ = std::vector<std::uint8_t>(kBlockBytes);
  std::string pending_;  // read, and not yet given to pg_restore
  Sha256 hash_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

StatusOr<Target> OpenTarget(const Endpoint& endpoint, const PipeWait& wait) {
  auto connection = Connection::Open(endpoint, "", wait);
  if (connection.ok()) return Target{*std::move(connection), true};
  if (!absl::IsNotFound(connection.status())) return connection.status();
  for (const char* other : {"postgres", "template1"}) {
    auto beside = Connection::Open(endpoint, other, wait);
    if (beside.ok()) return Target{*std::move(beside), false};
  }
  return connection.status();
}

StatusOr<RestorePlan> CheckRestoreDump(FileSystem& fs, const Endpoint& endpoint,
                                       const RestoreOptions& options) {
  ASSIGN_OR_RETURN(const Target target, OpenTarget(endpoint, {kPatience, options.stop}));
  RETURN_IF_ERROR(CheckTarget(target, endpoint, options.clean));
  int needed = 1;
  if (options.open_payload) {
    ASSIGN_OR_RETURN(const auto payload, options.open_payload());
    std::vector<std::uint8_t> block(kBlockBytes);
    const auto next_block = [&]() -> StatusOr<ByteSpan> {
      ASSIGN_OR_RETURN(const std::size_t n, payload->Read(block));
      return ByteSpan(block).first(n);
    };
    pgdump::HeadParser parser;
    std::string beyond;
    RETURN_IF_ERROR(ReadHead(next_block, parser, beyond));
    RETURN_IF_ERROR(CheckHead(parser.head(), target));
    needed = LeadingNumber(parser.head().dump_version);
  }
  RETURN_IF_ERROR(FindTool(fs, "pg_restore", needed).status());
  RestorePlan plan;
  const std::string version = "PostgreSQL " + target.connection->version();
  if (!target.exists) {
    plan.lines.push_back(fmt::format("create the database {} ({})", endpoint.Location(), version));
  } else if (options.clean) {
    plan.lines.push_back(fmt::format("replace what is in {} ({})", endpoint.Location(), version));
  }
  plan.lines.push_back(
      fmt::format("restore into {} in one transaction, by pg_restore", endpoint.Location()));
  return plan;
}

Status RestoreDump(FileSystem& fs, const Endpoint& endpoint, Source& payload,
                   const RestoreOptions& options) {
  return Restore(fs, endpoint, payload, options).Run();
}

}  // namespace holdfast::postgres
