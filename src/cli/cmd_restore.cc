#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/given_snapshot.h"
#include "cli/progress_bar.h"
#include "cli/table.h"
#include "ops/restore.h"
#include "ops/restore_datastore.h"
#include "os/host.h"
#include "os/system_clock.h"
#include "verify/verify_snapshot.h"

namespace holdfast {
namespace {

std::string StatusJson(const VerifiedSnapshot& v) {
  // The first four keys are etcdctl's.
  nlohmann::ordered_json json = {{"hash", v.found.status_hash},
                                 {"revision", v.found.revision},
                                 {"totalKey", v.found.total_entries},
                                 {"totalSize", v.found.bytes},
                                 {"liveKeys", v.found.live_keys},
                                 {"compactRevision", v.found.compact_revision},
                                 {"version", v.found.storage_version},
                                 {"clusterVersion", v.found.cluster_version},
                                 {"digest", v.has_digest ? "verified" : "none"},
                                 {"sha256", v.sha256},
                                 {"compression", CompressionName(v.compression)},
                                 {"fileSize", v.file_bytes},
                                 {"alarms", v.found.alarms}};
  auto hashes = nlohmann::ordered_json::array();
  for (const auto& [key, value] : v.found.bootstrap) hashes.push_back(BaseName(key));
  json["tokenHashes"] = hashes;
  // Keys of a foreign snapshot need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string DumpJson(const ExaminedSnapshot& s, bool has_metadata) {
  const SnapshotFacts& f = s.facts;
  nlohmann::ordered_json json = {
      {"datastore", s.kind->name}, {"totalSize", f.bytes},
      {"sha256", f.sha256},        {"compression", CompressionName(s.compression)},
      {"fileSize", s.file_bytes},  {"metadata", has_metadata ? "verified" : "none"}};
  if (f.revision) json["revision"] = *f.revision;
  if (f.compact_revision) json["compactRevision"] = *f.compact_revision;
  if (f.live_keys) json["liveKeys"] = *f.live_keys;
  if (!f.content_hash.empty()) json["contentHash"] = f.content_hash;
  auto hashes = nlohmann::ordered_json::array();
  for (const auto& [key, value] : f.bootstrap) hashes.push_back(BaseName(key));
  json["tokenHashes"] = hashes;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string NumberOr(const auto& value) { return value ? fmt::format("{}", *value) : "-"; }

// Of any kind but etcd's own snapshots.
Status ShowDumpStatus(const CommandContext& context, const OpenedSnapshot& snapshot,
                      const std::string& output) {
  ProgressBar bar(SystemClock(), "Verifying", context.terminal);
  ASSIGN_OR_RETURN(
      const ExaminedSnapshot s,
      ExamineSnapshot(
          PosixFileSystem(), snapshot,
          {.scratch_directory = Environment("TMPDIR").value_or("/tmp"),
           .on_progress = [&](std::uint64_t done, std::uint64_t total) { bar.Update(done, total); },
           .stop = context.stop}));
  const bool has_metadata = snapshot.manifest && snapshot.manifest->ours();
  if (output == "json") {
    std::fputs(DumpJson(s, has_metadata).c_str(), stdout);
  } else if (output == "yaml") {
    std::fputs(JsonToYaml(DumpJson(s, has_metadata)).c_str(), stdout);
  } else {
    const SnapshotFacts& f = s.facts;
    std::fputs(FormatTable({{"DATASTORE", "REVISION", "COMPACTED", "LIVE KEYS", "TOTAL SIZE",
                             "CONTENT HASH", "METADATA"},
                            {std::string(s.kind->name), NumberOr(f.revision),
                             NumberOr(f.compact_revision), NumberOr(f.live_keys),
                             FormatBytes(f.bytes), f.content_hash.empty() ? "-" : f.content_hash,
                             has_metadata ? "verified" : "none"}})
                   .c_str(),
               stdout);
  }
  if (!has_metadata) {
    LogWarn(
        "{} has no metadata beside it: its form is right, but a changed value cannot be noticed",
        snapshot.bytes->path());
  }
  return OkStatus();
}

}  // namespace

Status RunStatusCommand(const CommandContext& context) {
  const std::string output = context.settings.Text("output");
  RETURN_IF_ERROR(CheckOutputFormat(output));
  const std::string scratch = Environment("TMPDIR").value_or("/tmp");
  ASSIGN_OR_RETURN(const OpenedSnapshot snapshot, OpenGiven(context));
  ASSIGN_OR_RETURN(const DatastoreKind* kind, KindOfSnapshot(*snapshot.bytes));
  // What is none of the dumps is looked at as etcd's, which says best what is wrong with it.
  if (kind != nullptr && !kind->is_etcd_snapshot) return ShowDumpStatus(context, snapshot, output);
  ProgressBar bar(SystemClock(), "Verifying", context.terminal);
  ASSIGN_OR_RETURN(
      const VerifiedSnapshot v,
      VerifySnapshot(
          PosixFileSystem(), *snapshot.bytes,
          {.scratch_directory = scratch,
           .expected_sha256 = snapshot.expected_sha256,
           .on_progress = [&](std::uint64_t done, std::uint64_t total) { bar.Update(done, total); },
           .stop = context.stop}));
  if (output == "json") {
    std::fputs(StatusJson(v).c_str(), stdout);
  } else if (output == "yaml") {
    std::fputs(JsonToYaml(StatusJson(v)).c_str(), stdout);
  } else {
    const std::string version = v.found.storage_version.empty() ? "-" : v.found.storage_version;
    std::fputs(
        FormatTable(
            {{"HASH", "REVISION", "TOTAL KEYS", "LIVE KEYS", "TOTAL SIZE", "VERSION", "DIGEST"},
             {fmt::format("{:08x}", v.found.status_hash), fmt::format("{}", v.found.revision),
              fmt::format("{}", v.found.total_entries), fmt::format("{}", v.found.live_keys),
              FormatBytes(v.found.bytes), version, v.has_digest ? "verified" : "none"}})
            .c_str(),
        stdout);
  }
  if (!v.has_digest)
    LogWarn("{} has no digest: its structure is right, but a changed value cannot be noticed",
            snapshot.bytes->path());
  return OkStatus();
}

Status RunRestoreCommand(const CommandContext& context) {
  const Settings& s = context.settings;
  if (!s.Text("datastore-endpoint").empty()) return RestoreIntoDatastore(context);
  RestoreRequest request;
  if (s.Text("data-dir").empty())
    return InvalidArgumentError(
        "--data-dir is required: the etcd data directory to make; or --datastore-endpoint, the "
        "datastore to restore into");
  request.data_dir = AbsolutePath(s.Text("data-dir"), context.host.working_directory);
  if (!s.Text("wal-dir").empty())
    request.wal_dir = AbsolutePath(s.Text("wal-dir"), context.host.working_directory);
  request.name = s.Text("name");
  request.initial_cluster = s.Text("initial-cluster");
  request.initial_cluster_token = s.Text("initial-cluster-token");
  request.advertise_peer_urls = s.Text("initial-advertise-peer-urls");
  ASSIGN_OR_RETURN(request.skip_hash_check, s.Bool("skip-hash-check"));
  ASSIGN_OR_RETURN(request.mark_compacted, s.Bool("mark-compacted"));
  ASSIGN_OR_RETURN(request.clear_alarms, s.Bool("clear-alarms"));
  ASSIGN_OR_RETURN(const std::int64_t bump, s.Integer("bump-revision"));
  if (bump < 0) return s.Invalid("bump-revision", fmt::format("{} is negative", bump));
  request.bump_revision = static_cast<std::uint64_t>(bump);
  ASSIGN_OR_RETURN(const OpenedSnapshot snapshot, OpenGiven(context));
  ProgressBar bar(SystemClock(), "Restoring", context.terminal);
  request.on_progress = [&](std::uint64_t done, std::uint64_t total) { bar.Update(done, total); };
  request.stop = context.stop;
  ASSIGN_OR_RETURN(const mvcc::Inspection found,
                   RestoreToDataDir(PosixFileSystem(), snapshot, request));
  LogInfo("Restored {} to {}: revision {}{}", context.positionals[0], request.data_dir,
          found.revision, bump > 0 ? fmt::format(" + {}", bump) : "");
  if (!found.bootstrap.empty()) {
    LogInfo(
        "The snapshot holds bootstrap data of a server (token hash {}); that server is restored "
        "with server --cluster-reset",
        BaseName(found.bootstrap.begin()->first));
  }
  return OkStatus();
}

}  // namespace holdfast
