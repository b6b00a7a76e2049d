#include "mysql/load.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "formats/mysqldump/database_eraser.h"
#include "mysql/rights.h"

namespace holdfast::mysql {
namespace {

constexpr std::size_t kPiece = 256 * kKiB;
// One statement of a dump, on a slow server; the tool says nothing meanwhile.
constexpr absl::Duration kStatementLimit = absl::Minutes(30);

// The error, and before it what the database holds now.
Status Holds(const Endpoint& endpoint, std::string_view what, const Status& status) {
  return Annotate(status, fmt::format("database {} is {}", endpoint.database, what));
}
constexpr std::string_view kUnchanged = "as it was", kIncomplete = "incomplete now";

Status CheckPacket(Connection& server, const RestoreOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, server.Query("SELECT @@max_allowed_packet"));
  const std::uint64_t limit = ParseUint(rows.at(0)[0].value_or("")).value_or(0);
  if (options.facts.largest_packet < limit) return OkStatus();
  return WithHint(
      FailedPreconditionError(
          "the snapshot holds a row that needs a packet of {} bytes, the server takes {} "
          "(max_allowed_packet)",
          options.facts.largest_packet, limit),
      "Raise it while the server runs (SET GLOBAL max_allowed_packet = 1073741824), and restore "
      "again.");
}

Status CheckUnused(Connection& server, const std::string& database) {
  ASSIGN_OR_RETURN(const std::vector<std::string> users, UsersOf(server, database));
  if (users.empty()) return OkStatus();
  return WithHint(
      FailedPreconditionError("database {} is in use by {}", database, Join(users, ", ")),
      "Stop K3s or kine, and whoever else uses it, on every server.");
}

Status CheckNothingPointsHere(Connection& server, const std::string& database) {
  ASSIGN_OR_RETURN(const std::vector<std::string> tables, PointingInto(server, database));
  if (tables.empty()) return OkStatus();
  return WithHint(
      FailedPreconditionError("tables of another database have foreign keys into database {}: {}",
                              database, Join(tables, ", ")),
      "They would be left without what they refer to. Drop these foreign keys, restore, and "
      "add them again.");
}

std::string DefaultsOf(const Contents& contents) {
  return fmt::format(" CHARACTER SET {} COLLATE {}", contents.character_set, contents.collation);
}

// The database, empty, as that one was made.
Status MakeDatabase(Connection& server, const std::string& name,
                    const std::optional<Contents>& like) {
  RETURN_IF_ERROR(
      server.Run("CREATE DATABASE " + QuoteName(name) + (like ? DefaultsOf(*like) : "")),
      "make database {}", name);
  return OkStatus();
}

Status DropDatabase(Connection& server, const std::string& name) {
  RETURN_IF_ERROR(server.Run("DROP DATABASE IF EXISTS " + QuoteName(name)), "drop database {}",
                  name);
  return OkStatus();
}

// The databases of a staged restore; the last error.
Status DropBoth(Connection& server, const LoadPlan& plan) {
  const Status staging = DropDatabase(server, plan.staging);
  RETURN_IF_ERROR(DropDatabase(server, plan.aside));
  return staging;
}

Status EmptyDatabase(Connection& server, const std::string& name,
                     const std::optional<Contents>& like) {
  RETURN_IF_ERROR(DropDatabase(server, name));
  return MakeDatabase(server, name, like);
}

// All of `source` into `database`, and nowhere else.
Status Feed(Source& source, const Endpoint& endpoint, const Tools& tools,
            const std::string& database, const std::function<void(std::uint64_t)>& on_progress,
            std::stop_token stop) {
  ToolOptions command = LoadCommand(tools, endpoint, database);
  command.stop = stop;
  command.stall_timeout = kStatementLimit;
  ASSIGN_OR_RETURN(const std::unique_ptr<Sink> sink, WriteToTool(command));
  mysqldump::DatabaseEraser eraser;
  std::vector<std::uint8_t> piece(kPiece);
  std::uint64_t done = 0;
  while (true) {
    if (stop.stop_requested()) return CancelledError("stopped");
    ASSIGN_OR_RETURN(const std::size_t size, source.Read(piece));
    if (size == 0) break;
    ASSIGN_OR_RETURN(const ByteSpan passed, eraser.Feed(ByteSpan(piece).first(size)));
    if (!passed.empty()) RETURN_IF_ERROR(sink->Write(passed));
    done += size;
    if (on_progress) on_progress(done);
  }
  if (!eraser.Rest().empty()) RETURN_IF_ERROR(sink->Write(eraser.Rest()));
  return sink->Finish();
}

// One statement: the new tables take the places of the old ones, or nothing happens.
Status SwapTables(Connection& server, const std::string& database, const LoadPlan& plan,
                  const std::vector<std::string>& new_tables) {
  std::vector<std::string> renames;
  const auto move = [&](const std::vector<std::string>& tables, const std::string& from,
                        const std::string& to) {
    for (const std::string& table : tables)
      renames.push_back(fmt::format("{}.{} TO {}.{}", QuoteName(from), QuoteName(table),
                                    QuoteName(to), QuoteName(table)));
  };
  if (plan.old && !plan.old->tables.empty()) {
    RETURN_IF_ERROR(MakeDatabase(server, plan.aside, plan.old));
    move(plan.old->tables, database, plan.aside);
  }
  move(new_tables, plan.staging, database);
  if (renames.empty()) return OkStatus();
  RETURN_IF_ERROR(server.Run("RENAME TABLE " + Join(renames, ", ")),
                  "put the restored tables in place");
  return OkStatus();
}

// By the tools, from the database where `loaded` has been loaded well.
Status CopyOver(Connection& server, const Endpoint& endpoint, const Tools& tools,
                const LoadPlan& plan, const Contents& loaded, const RestoreOptions& options) {
  RETURN_IF_ERROR(EmptyDatabase(server, endpoint.database, loaded));
  DumpParts parts = plan.parts;
  parts.history = CanDumpHistory(tools, server, loaded);
  ToolOptions dump = DumpCommand(tools, endpoint, plan.staging, parts);
  dump.stop = options.stop;
  ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, ReadFromTool(dump));
  return Feed(*source, endpoint, tools, endpoint.database, nullptr, options.stop);
}

Status LoadStaged(Connection& server, const Endpoint& endpoint, const Tools& tools,
                  const LoadPlan& plan, Source& payload, const RestoreOptions& options) {
  RETURN_IF_ERROR(MakeDatabase(server, plan.staging, plan.old));
  const auto undo = [&](const Status& status) {
    const Status dropped = DropBoth(server, plan);
    const Status out = Holds(endpoint, kUnchanged, status);
    return dropped.ok() ? out
                        : WithHint(out, fmt::format("Drop what is left of the databases {} and {}.",
                                                    plan.staging, plan.aside));
  };
  Status status = Feed(payload, endpoint, tools, plan.staging, options.on_progress, options.stop);
  if (!status.ok()) return undo(status);
  StatusOr<std::optional<Contents>> loaded = LookInto(server, plan.staging);
  if (loaded.ok() && !*loaded) loaded = AbortedError("database {} is gone", plan.staging);
  if (!loaded.ok()) return undo(loaded.status());
  if ((*loaded)->unreadable_routines > 0) {  // they would be lost on the way to the database
    return undo(WithHint(
        PermissionDeniedError("{} may not read {} stored routines of others where they are staged",
                              endpoint.user, (*loaded)->unreadable_routines),
        "As an administrator: GRANT SELECT ON mysql.proc TO that account (SHOW CREATE ROUTINE ON "
        "*.* where the server knows it)."));
  }
  status = CheckUnused(server, endpoint.database);
  if (!status.ok()) return undo(status);

  if ((*loaded)->others == 0 && (!plan.old || plan.old->others == 0)) {
    if (plan.create) {
      status = MakeDatabase(server, endpoint.database, **loaded);
      if (!status.ok()) return undo(status);
    }
    status = SwapTables(server, endpoint.database, plan, (*loaded)->tables);
    if (!status.ok()) {
      // best effort: an empty database may stay
      if (plan.create) (void)DropDatabase(server, endpoint.database);
      return undo(status);
    }
  } else {
    status = CopyOver(server, endpoint, tools, plan, **loaded, options);
    if (!status.ok()) {
      return Holds(
          endpoint,
          fmt::format("{}, all of the snapshot is in database {}", kIncomplete, plan.staging),
          status);
    }
  }
  // Those of the snapshot, where it was there before; they mean nothing to the tables.
  RETURN_IF_ERROR(
      server.Run("ALTER DATABASE " + QuoteName(endpoint.database) + DefaultsOf(**loaded)),
      "restored, but");
  RETURN_IF_ERROR(DropBoth(server, plan), "restored, but");
  return OkStatus();
}

Status LoadDirect(Connection& server, const Endpoint& endpoint, const Tools& tools,
                  const LoadPlan& plan, Source& payload, const RestoreOptions& options) {
  if (plan.create) {
    RETURN_IF_ERROR(MakeDatabase(server, endpoint.database, std::nullopt));
  } else if (!plan.old->empty()) {
    RETURN_IF_ERROR(EmptyDatabase(server, endpoint.database, plan.old));
  }
  const Status status =
      Feed(payload, endpoint, tools, endpoint.database, options.on_progress, options.stop);
  if (status.ok()) return status;
  const Status emptied = plan.create ? DropDatabase(server, endpoint.database)
                                     : EmptyDatabase(server, endpoint.database, plan.old);
  if (!emptied.ok())
    return Holds(endpoint, fmt::format("{} ({})", kIncomplete, MessageOf(emptied)), status);
  return Holds(endpoint, plan.create || plan.old->empty() ? kUnchanged : "empty now", status);
}

// From which on our names are not taken: what a restore that was killed within this second left may still be there.
StatusOr<std::int64_t> FreeSecond(Connection& server, const std::string& database,
                                  std::int64_t unix_seconds) {
  for (;; ++unix_seconds) {
    ASSIGN_OR_RETURN(const auto staging, LookInto(server, StagingName(database, unix_seconds)));
    ASSIGN_OR_RETURN(const auto aside, LookInto(server, OldName(database, unix_seconds)));
    if (!staging && !aside) return unix_seconds;
  }
}

}  // namespace

StatusOr<LoadPlan> PlanLoad(Connection& server, const Endpoint& endpoint, const Tools& tools,
                            std::int64_t unix_seconds, const RestoreOptions& options) {
  const std::string& database = endpoint.database;
  LoadPlan plan;
  ASSIGN_OR_RETURN(unix_seconds, FreeSecond(server, database, unix_seconds));
  plan.staging = StagingName(database, unix_seconds);
  plan.aside = OldName(database, unix_seconds);
  ASSIGN_OR_RETURN(const Grants grants, Grants::Read(server));
  RETURN_IF_ERROR(CheckRights(server, grants, endpoint.user, database, options.facts));
  const std::vector<std::string_view> needed = PrivilegesToLoad(options.facts);
  plan.staged =
      grants.Missing(needed, plan.staging).empty() && grants.Missing(needed, plan.aside).empty();
  plan.parts = {.triggers = grants.Has("TRIGGER", plan.staging),
                .routines = true,
                .events = grants.Has("EVENT", plan.staging)};
  ASSIGN_OR_RETURN(plan.old, LookInto(server, database));
  plan.create = !plan.old;
  if (plan.old && !plan.old->empty() && !options.clean) {
    return WithHint(
        FailedPreconditionError(
            "database {} is not empty: it holds {} table(s){}", database, plan.old->tables.size(),
            plan.old->others == 0 ? "" : ", and views, triggers, routines or events"),
        "--clean replaces what is there.");
  }
  if (!plan.create && !plan.old->tables.empty()) {
    RETURN_IF_ERROR(CheckNothingPointsHere(server, database));
  }
  RETURN_IF_ERROR(CheckUnused(server, database));
  RETURN_IF_ERROR(CheckPacket(server, options));

  plan.lines.push_back(fmt::format("{}, server {}, loaded by {} {}", endpoint.Describe(),
                                   server.version(), tools.client, tools.version));
  if (!plan.create && !grants.HasGlobally("PROCESS")) {
    plan.lines.push_back(fmt::format(
        "{} lacks PROCESS: whether other accounts use {} is not seen; make sure that none does",
        endpoint.user, database));
  }
  if (plan.create) plan.lines.push_back(fmt::format("database {} is made", database));
  if (plan.old && !plan.old->empty())
    plan.lines.push_back(fmt::format("database {}: what it holds is replaced (tables: {})",
                                     database, plan.old->tables.size()));
  if (plan.staged) {
    plan.lines.push_back(fmt::format(
        "loaded into the database {} first; nothing changes before that succeeded", plan.staging));
  } else {
    plan.lines.push_back(fmt::format(
        "loaded directly: {} may not make the database {}; if it fails, {} is left empty",
        endpoint.user, plan.staging, database));
  }
  return plan;
}

Status Load(Connection& server, const Endpoint& endpoint, const Tools& tools, const LoadPlan& plan,
            Source& payload, const RestoreOptions& options) {
  return plan.staged ? LoadStaged(server, endpoint, tools, plan, payload, options)
                     : LoadDirect(server, endpoint, tools, plan, payload, options);
}

}  // namespace holdfast::mysql
