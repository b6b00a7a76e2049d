#include "mysql/load.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

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

// The database, empty, as it was made.
Status MakeDatabase(Connection& server, const std::string& name,
                    const std::optional<Contents>& like) {
  std::string sql = "CREATE DATABASE " + QuoteName(name);
  if (like) sql += " CHARACTER SET " + like->character_set + " COLLATE " + like->collation;
  RETURN_IF_ERROR(server.Run(sql), "make database {}", name);
  return OkStatus();
}

Status DropDatabase(Connection& server, const std::string& name) {
  RETURN_IF_ERROR(server.Run("DROP DATABASE IF EXISTS " + QuoteName(name)), "drop database {}",
                  name);
  return OkStatus();
}

Status EmptyDatabase(Connection& server, const std::string& name,
                     const std::optional<Contents>& like) {
  RETURN_IF_ERROR(DropDatabase(server, name));
  return MakeDatabase(server, name, like);
}

// All of `source` into `database`.
Status Feed(Source& source, const Endpoint& endpoint, const Tools& tools,
            const std::string& database, const std::function<void(std::uint64_t)>& on_progress,
            std::stop_token stop) {
  ToolOptions command = LoadCommand(tools, endpoint, database);
  command.stop = stop;
  command.stall_timeout = kStatementLimit;
  ASSIGN_OR_RETURN(const std::unique_ptr<Sink> sink, WriteToTool(command));
  std::vector<std::uint8_t> piece(kPiece);
  std::uint64_t done = 0;
  while (true) {
    if (stop.stop_requested()) return CancelledError("stopped");
    ASSIGN_OR_RETURN(const std::size_t size, source.Read(piece));
    if (size == 0) return sink->Finish();
    RETURN_IF_ERROR(sink->Write(ByteSpan(piece).first(size)));
    done += size;
    if (on_progress) on_progress(done);
  }
}

// One statement: the new tables take the places of the old ones, or nothing happens.
Status SwapTables(Connection& server, const std::string& database, const std::string& staging,
                  const std::vector<std::string>& old_tables,
                  const std::vector<std::string>& new_tables) {
  const auto name = [](const std::string& schema, const std::string& table) {
    return QuoteName(schema) + "." + QuoteName(table);
  };
  std::vector<std::string> renames;
  for (std::size_t i = 0; i < old_tables.size(); ++i)
    renames.push_back(name(database, old_tables[i]) + " TO " +
                      name(staging, fmt::format("holdfast old {}", i)));
  for (const std::string& table : new_tables)
    renames.push_back(name(staging, table) + " TO " + name(database, table));
  if (renames.empty()) return OkStatus();
  RETURN_IF_ERROR(server.Run("RENAME TABLE " + Join(renames, ", ")),
                  "put the restored tables in place");
  return OkStatus();
}

// By the tools, from the database where it has been loaded well.
Status CopyOver(Connection& server, const Endpoint& endpoint, const Tools& tools,
                const LoadPlan& plan, const RestoreOptions& options) {
  RETURN_IF_ERROR(plan.create ? MakeDatabase(server, endpoint.database, std::nullopt)
                              : EmptyDatabase(server, endpoint.database, plan.old));
  ToolOptions dump = DumpCommand(tools, endpoint, plan.staging, plan.parts);
  dump.stop = options.stop;
  ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, ReadFromTool(dump));
  return Feed(*source, endpoint, tools, endpoint.database, nullptr, options.stop);
}

Status LoadStaged(Connection& server, const Endpoint& endpoint, const Tools& tools,
                  const LoadPlan& plan, Source& payload, const RestoreOptions& options) {
  RETURN_IF_ERROR(MakeDatabase(server, plan.staging, plan.old));
  const auto undo = [&](const Status& status) {
    const Status dropped = DropDatabase(server, plan.staging);
    const Status out = Holds(endpoint, kUnchanged, status);
    return dropped.ok() ? out : WithHint(out, fmt::format("Drop the database {}.", plan.staging));
  };
  Status status = Feed(payload, endpoint, tools, plan.staging, options.on_progress, options.stop);
  if (!status.ok()) return undo(status);
  StatusOr<std::optional<Contents>> loaded = LookInto(server, plan.staging);
  if (loaded.ok() && !*loaded) loaded = AbortedError("database {} is gone", plan.staging);
  if (!loaded.ok()) return undo(loaded.status());
  status = CheckUnused(server, endpoint.database);
  if (!status.ok()) return undo(status);

  if ((*loaded)->others == 0 && (!plan.old || plan.old->others == 0)) {
    if (plan.create) {
      status = MakeDatabase(server, endpoint.database, std::nullopt);
      if (!status.ok()) return undo(status);
    }
    const std::vector<std::string> old_tables =
        plan.old ? plan.old->tables : std::vector<std::string>();
    status = SwapTables(server, endpoint.database, plan.staging, old_tables, (*loaded)->tables);
    if (!status.ok()) {
      // best effort: an empty database may stay
      if (plan.create) (void)DropDatabase(server, endpoint.database);
      return undo(status);
    }
  } else {
    status = CopyOver(server, endpoint, tools, plan, options);
    if (!status.ok()) {
      return Holds(
          endpoint,
          fmt::format("{}, all of the snapshot is in database {}", kIncomplete, plan.staging),
          status);
    }
  }
  RETURN_IF_ERROR(DropDatabase(server, plan.staging), "restored, but");
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

}  // namespace

StatusOr<LoadPlan> PlanLoad(Connection& server, const Endpoint& endpoint, const Tools& tools,
                            std::int64_t unix_seconds, const RestoreOptions& options) {
  const std::string& database = endpoint.database;
  LoadPlan plan;
  plan.staging = StagingName(database, unix_seconds);
  ASSIGN_OR_RETURN(const Grants grants, Grants::Read(server));
  // What the statements of a dump need.
  for (const std::string& name : {database, plan.staging}) {
    const std::vector<std::string> missing =
        grants.Missing({"SELECT", "INSERT", "CREATE", "DROP", "ALTER", "LOCK TABLES"}, name);
    if (name == plan.staging) {
      plan.staged = missing.empty();
      plan.parts = {.triggers = grants.Has("TRIGGER", name),
                    .routines = true,
                    .events = grants.Has("EVENT", name)};
    } else if (!missing.empty()) {
      return WithHint(PermissionDeniedError("{} may not restore into database {}: it lacks {}",
                                            endpoint.user, database, Join(missing, ", ")),
                      fmt::format("As an administrator: GRANT ALL ON {}.* TO that account.",
                                  QuoteName(database)));
    }
  }
  ASSIGN_OR_RETURN(plan.old, LookInto(server, database));
  plan.create = !plan.old;
  if (plan.old && !plan.old->empty() && !options.clean) {
    return WithHint(
        FailedPreconditionError(
            "database {} is not empty: it holds {} table(s){}", database, plan.old->tables.size(),
            plan.old->others == 0 ? "" : ", and views, triggers, routines or events"),
        "--clean replaces what is there.");
  }
  RETURN_IF_ERROR(CheckUnused(server, database));
  RETURN_IF_ERROR(CheckPacket(server, options));

  plan.lines.push_back(fmt::format("{}, server {}, loaded by {} {}", endpoint.Describe(),
                                   server.version(), tools.client, tools.version));
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
