#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/layout.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/given_snapshot.h"
#include "cli/progress_bar.h"
#include "cli/table.h"
#include "identity/token_files.h"
#include "ops/datastores.h"
#include "ops/migrate.h"
#include "ops/restore_datastore.h"
#include "os/host.h"
#include "os/pipe.h"
#include "os/system_clock.h"

namespace holdfast {
namespace {

DatastoreOptions OptionsOf(const DatastoreSettings& settings) {
  return {.fs = PosixFileSystem(),
          .clock = SystemClock(),
          .endpoint = settings.endpoint,
          .ca_file = settings.ca_file,
          .certificate_file = settings.certificate_file,
          .key_file = settings.key_file};
}

StatusOr<DatastoreSettings> Required(const CommandContext& context, std::string_view prefix,
                                     std::string_view flag) {
  ASSIGN_OR_RETURN(DatastoreSettings settings,
                   ReadDatastoreSettings(context.settings, prefix, context.host));
  if (settings.endpoint.empty()) return InvalidArgumentError("--{} is required", flag);
  return settings;
}

// --- status ---

std::string StatusJson(const DatastoreState& state, const SnapshotFacts& facts) {
  nlohmann::ordered_json json = {{"datastore", state.kind},
                                 {"version", state.version},
                                 {"location", state.location},
                                 {"size", state.bytes},
                                 {"warnings", state.warnings}};
  if (facts.revision) json["revision"] = *facts.revision;
  if (facts.compact_revision) json["compactRevision"] = *facts.compact_revision;
  if (facts.live_keys) json["liveKeys"] = *facts.live_keys;
  if (!facts.content_hash.empty()) json["contentHash"] = facts.content_hash;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status ShowStatus(const CommandContext& context) {
  const std::string output = context.settings.Text("output");
  RETURN_IF_ERROR(CheckOutputFormat(output));
  ASSIGN_OR_RETURN(const DatastoreSettings settings,
                   Required(context, "datastore", "datastore-endpoint"));
  ASSIGN_OR_RETURN(const auto datastore, OpenDatastore(OptionsOf(settings)));
  ASSIGN_OR_RETURN(const DatastoreState state, datastore->Describe());
  ASSIGN_OR_RETURN(const SnapshotFacts facts, datastore->ReadContent(context.stop));
  if (output != "table") {
    const std::string json = StatusJson(state, facts);
    std::fputs((output == "json" ? json : JsonToYaml(json)).c_str(), stdout);
    return OkStatus();
  }
  const auto number = [](const auto& value) {
    return value ? fmt::format("{}", *value) : std::string("-");
  };
  std::fputs(FormatTable({{"DATASTORE", "VERSION", "LOCATION", "SIZE", "REVISION", "LIVE KEYS",
                           "CONTENT HASH"},
                          {state.kind, state.version, state.location, FormatBytes(state.bytes),
                           number(facts.revision), number(facts.live_keys),
                           facts.content_hash.empty() ? "-" : facts.content_hash}})
                 .c_str(),
             stdout);
  for (const std::string& warning : state.warnings) LogWarn("{}", warning);
  return OkStatus();
}

// --- migrate ---

Status RunMigration(const CommandContext& context) {
  ASSIGN_OR_RETURN(const DatastoreSettings from, Required(context, "from", "from"));
  ASSIGN_OR_RETURN(const DatastoreSettings to, Required(context, "to", "to"));
  ASSIGN_OR_RETURN(const bool live_only, context.settings.Bool("live-only"));
  ASSIGN_OR_RETURN(const DatastoreKind* from_kind, KindOfEndpoint(from.endpoint), "--from");
  ASSIGN_OR_RETURN(const DatastoreKind* to_kind, KindOfEndpoint(to.endpoint), "--to");
  ASSIGN_OR_RETURN(const auto source, from_kind->open(OptionsOf(from)), "--from");
  ASSIGN_OR_RETURN(const auto target, to_kind->open(OptionsOf(to)), "--to");
  const bool history = !live_only && from_kind->keeps_history && to_kind->keeps_history;
  ProgressBar bar(SystemClock(), "Copying", context.terminal);
  ASSIGN_OR_RETURN(const MigrateReport report,
                   Migrate({.from = *source,
                            .to = *target,
                            .which = history ? Rows::kAll : Rows::kLive,
                            .on_progress = [&](std::uint64_t done,
                                               std::uint64_t total) { bar.Update(done, total); },
                            .stop = context.stop}));
  LogInfo("Migrated {} keys from {} to {}{}: content hash {} on both sides",
          report.target.live_keys.value_or(0), from_kind->name, to_kind->name,
          history ? fmt::format(", with their history ({} rows)", report.rows) : "",
          report.target.content_hash);
  return OkStatus();
}

// --- restore ---

void PrintPlan(const ExaminedSnapshot& snapshot, const std::optional<Manifest>& manifest,
               const DatastoreState& state, const std::vector<std::string>& lines) {
  const SnapshotFacts& f = snapshot.facts;
  std::string text = fmt::format("Snapshot   of {}, {}", snapshot.kind->name, FormatBytes(f.bytes));
  if (f.revision) text += fmt::format(", revision {}", *f.revision);
  if (f.live_keys) text += fmt::format(", {} live keys", *f.live_keys);
  if (manifest && manifest->ours()) {
    text += fmt::format(", taken {} on {}", FormatRfc3339Utc(manifest->created_at), manifest->node);
  }
  text += "\nInto       " + state.kind;
  // Nothing more is known of one that is gone or damaged.
  if (!state.location.empty()) {
    text += fmt::format(" {} at {}{}", state.version, state.location,
                        state.empty ? ", which is empty" : "");
  }
  text += "\n";
  for (const std::string& line : lines) text += fmt::format("           {}\n", line);
  std::fputs(text.c_str(), stderr);
}

Status AskPerson(const CommandContext& context) {
  ASSIGN_OR_RETURN(const bool yes, context.settings.Bool("yes"));
  if (yes) return OkStatus();
  if (!context.terminal) {
    return WithHint(FailedPreconditionError("a person must confirm that data are replaced, and "
                                            "there is no terminal to ask on"),
                    "Give --yes; --dry-run shows what would be done.");
  }
  std::fputs("Go on? Type yes: ", stderr);
  // A person may take their time, but can also stop it here.
  RETURN_IF_ERROR(
      AwaitReady(STDIN_FILENO, POLLIN, {.stall_timeout = absl::Hours(24), .stop = context.stop}));
  std::string answer;
  std::getline(std::cin, answer);
  if (Trim(answer) != "yes") return CancelledError("not confirmed; nothing was changed");
  return OkStatus();
}

// The token that was given, else that of a server on this host.
StatusOr<Secret> TokenFor(const CommandContext& context, const DataLayout& layout) {
  const Settings& s = context.settings;
  if (!s.Text("token").empty()) return s.SecretText("token");
  const std::string file = s.Text("token-file");
  constexpr std::uint64_t kTokenBytesMax = 64 * kKiB;
  if (!file.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile(PosixFileSystem(), AbsolutePath(file, context.host.working_directory),
                              kTokenBytesMax),
                     "token file");
    return Secret(std::string(Trim(text)));
  }
  const auto own = ReadFile(PosixFileSystem(), layout.token(), kTokenBytesMax);
  return own.ok() ? Secret(std::string(Trim(*own))) : Secret();
}

}  // namespace

Status RestoreIntoDatastore(const CommandContext& context) {
  const Settings& s = context.settings;
  if (!s.Text("data-dir").empty()) {
    return InvalidArgumentError(
        "invalid flag use; --data-dir (make an etcd data directory) and --datastore-endpoint "
        "(restore into a datastore) exclude each other");
  }
  // --data-dir is what a restore without an endpoint makes; a server's is where its variable says.
  const DataLayout layout(
      Environment((std::string(context.distribution.env_prefix) + "DATA_DIR").c_str())
          .value_or(std::string(context.distribution.data_dir)));
  const std::string given_dir = s.Text("etcd-snapshot-dir");
  ASSIGN_OR_RETURN(const DatastoreSettings datastore,
                   ReadDatastoreSettings(s, "datastore", context.host));
  const SnapshotPlace place{
      .fs = PosixFileSystem(),
      .directory = given_dir.empty() ? layout.snapshots()
                                     : AbsolutePath(given_dir, context.host.working_directory),
      .make_if_missing = given_dir.empty(),
      .node = ToLower(context.host.host_name)};
  RETURN_IF_ERROR(PrepareDirectory(place));
  ASSIGN_OR_RETURN(const FetchRequest given, RequestGiven(context, place));
  RestoreDatastoreRequest request{.snapshot = given,
                                  .datastore = OptionsOf(datastore),
                                  .place = place,
                                  .clock = SystemClock(),
                                  .stop = context.stop};
  ASSIGN_OR_RETURN(request.clean, s.Bool("clean"));
  ASSIGN_OR_RETURN(request.into_live, s.Bool("into-live"));
  ASSIGN_OR_RETURN(request.dry_run, s.Bool("dry-run"));
  ASSIGN_OR_RETURN(request.token, TokenFor(context, layout));
  ProgressBar bar(SystemClock(), "Verifying", context.terminal);
  request.on_progress = [&](std::string_view step, std::uint64_t done, std::uint64_t total) {
    bar.Begin(step);
    bar.Update(done, total);
  };
  request.snapshot.on_progress = request.on_progress;
  request.confirm = [&](const ExaminedSnapshot& snapshot, const std::optional<Manifest>& manifest,
                        const DatastoreState& state,
                        const std::vector<std::string>& plan) -> Status {
    PrintPlan(snapshot, manifest, state, plan);
    if (request.dry_run) return CancelledError("dry run");
    return state.empty ? OkStatus() : AskPerson(context);
  };
  const auto report = RestoreDatastore(request);
  if (request.dry_run && absl::IsCancelled(report.status()) && !context.stop.stop_requested()) {
    LogInfo("Nothing was changed");
    return OkStatus();
  }
  RETURN_IF_ERROR(report.status());
  const SnapshotFacts& f = report->restored;
  LogInfo("Restored {}{}", context.positionals[0],
          f.content_hash.empty()
              ? ""
              : fmt::format(": {} live keys, content hash {}, as in the snapshot",
                            f.live_keys.value_or(0), f.content_hash));
  if (!report->safety_snapshot.empty())
    LogInfo("What was there before is in snapshot {}", report->safety_snapshot);
  return OkStatus();
}

Status RunDatastoreCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  return context.settings.command() == kDatastoreMigrate ? RunMigration(context)
                                                         : ShowStatus(context);
}

}  // namespace holdfast
