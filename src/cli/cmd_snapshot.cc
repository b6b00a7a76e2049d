#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/layout.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/progress_bar.h"
#include "cli/server_connection.h"
#include "cli/table.h"
#include "identity/token_files.h"
#include "keys/pki.h"
#include "keys/token.h"
#include "ops/datastores.h"
#include "ops/snapshots.h"
#include "os/system_clock.h"
#include "server/snapshot_service.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kCaBytesMax = 1 * kMiB;

class SnapshotCommand {
 public:
  explicit SnapshotCommand(const CommandContext& context)
      : context_(context),
        settings_(context.settings),
        fs_(PosixFileSystem()),
        layout_(DataDirFrom(settings_, context.distribution, context.host)),
        url_(ServerUrlOf(context)) {}

  Status Run() {
    RETURN_IF_ERROR(CheckWords());
    RETURN_IF_ERROR(CheckServerUrl(url_));
    ASSIGN_OR_RETURN(
        s3_, ReadS3Settings(settings_, context_.distribution, context_.host.working_directory));
    ASSIGN_OR_RETURN(SnapshotRequest request, Request());
    // Who names a datastore here means that one, whatever a server on this host has; in the configuration file it is the
    // server's own.
    const bool of_datastore =
        settings_.command() == kSnapshotSave && !settings_.Text("datastore-endpoint").empty();
    if (of_datastore && !settings_.IsFromFile("datastore-endpoint"))
      return SaveOfDatastore(std::move(request));
    auto answer = AskServer(request);
    if (NobodyThere(answer.status())) {
      if (of_datastore) return SaveOfDatastore(std::move(request));
      if (settings_.command() == kSnapshotSave) {
        return WithHint(answer.status(),
                        "The server must be running to take a snapshot. With systemd: systemctl "
                        "start holdfast-server.");
      }
      return RunLocally();
    }
    if (settings_.command() == kSnapshotList) {
      if (answer.ok()) return PrintList(*answer);
      // Perhaps it is only S3: what the directory has is shown all the same.
      request.s3.reset();
      request.no_s3 = true;
      if (const auto directory = AskServer(request); directory.ok())
        RETURN_IF_ERROR(PrintList(*directory));
    }
    RETURN_IF_ERROR(answer.status());
    ASSIGN_OR_RETURN(const SnapshotResult result, SnapshotResult::Decode(*answer));
    Report(result);
    return OkStatus();
  }

 private:
  Status CheckWords() {
    if (settings_.command() == kSnapshotDelete) {
      if (context_.positionals.empty())
        return InvalidArgumentError("no snapshots given for removal");
      return OkStatus();
    }
    RETURN_IF_ERROR(ExpectNoPositionals(context_));
    if (settings_.Text("name").empty())
      return settings_.Invalid("name", "snapshot name must not be empty");
    const std::string output =
        settings_.command() == kSnapshotList ? settings_.Text("output") : "table";
    RETURN_IF_ERROR(CheckOutputFormat(output));
    return OkStatus();
  }

  // --- with the server ---

  // The connection was refused, by the server on this host: so it is down, not somewhere else.
  bool NobodyThere(const Status& status) const {
    return absl::IsUnavailable(status) && !IsServerNamed(settings_) && !connected_;
  }

  StatusOr<std::string> AskServer(const SnapshotRequest& request) {
    const auto http = MakeHttpClient();
    // Whether somebody is there is asked first: without a server there may be no token either.
    ASSIGN_OR_RETURN(
        const HttpResponse ping,
        http->Do({.url = url_ + "/ping", .skip_verify = true, .stall_timeout = absl::Seconds(10)}));
    connected_ = true;
    if (ping.code != 200) return DecodeError(ping.code, ping.body);
    ASSIGN_OR_RETURN(SupervisorClient client, ConnectToServer(context_, *http));
    ProgressBar bar(SystemClock(), "Saving", context_.terminal);
    return client.Snapshot(request, [&](const Progress& p) {
      if (p.step == "upload") bar.Begin("Uploading");
      bar.Update(p.done, p.total);
    });
  }

  StatusOr<SnapshotRequest> Request() {
    SnapshotRequest request;
    switch (settings_.command()) {
      case kSnapshotSave:
        request.operation = "save";
        break;
      case kSnapshotPrune:
        request.operation = "prune";
        break;
      case kSnapshotDelete:
        request.operation = "delete";
        break;
      default:
        request.operation = "list";
    }
    request.names = settings_.command() == kSnapshotDelete
                        ? context_.positionals
                        : std::vector<std::string>{settings_.Text("name")};
    if (settings_.command() == kSnapshotList) {
      ASSIGN_OR_RETURN(request.local, settings_.Bool("local"));
    }
    if (!settings_.Text("dir").empty())
      request.directory = AbsolutePath(settings_.Text("dir"), context_.host.working_directory);
    if (settings_.IsSet("snapshot-compress")) {
      ASSIGN_OR_RETURN(request.compress, settings_.Bool("snapshot-compress"));
    }
    if (settings_.command() == kSnapshotSave && settings_.IsSet("etcd-snapshot-compression") &&
        !settings_.IsOverridden("etcd-snapshot-compression", "snapshot-compress")) {
      request.compression = settings_.Text("etcd-snapshot-compression");
    }
    if (settings_.command() == kSnapshotPrune && settings_.IsSet("snapshot-retention")) {
      ASSIGN_OR_RETURN(request.retention, settings_.Integer("snapshot-retention"));
    }
    request.no_s3 = s3_.on == false;
    if (s3_.on == true) request.s3 = s3_.options;
    if (s3_.retention_was_set) request.s3_retention = s3_.retention;
    return request;
  }

  // --- without ---

  Status RunLocally() {
    SnapshotPlace place{.fs = fs_,
                        .directory = layout_.snapshots(),
                        .make_if_missing = true,
                        .node = NodeNameFrom(settings_, context_.host),
                        .cluster_id = ClusterId()};
    if (!settings_.Text("dir").empty()) {
      place.directory = AbsolutePath(settings_.Text("dir"), context_.host.working_directory);
      place.make_if_missing = false;
    }
    const bool with_s3 = s3_.on.value_or(false);
    LogInfo("No server answers at {}; working on {}{} directly", url_, place.directory,
            with_s3 ? fmt::format(" and bucket {}", s3_.options.bucket) : "");
    StatusOr<S3Folder> s3 = NotFoundError("S3 is off");
    if (with_s3) {
      s3 = OpenS3(MakeS3Opener(fs_, SystemClock(), SystemRandom(), context_.stop), s3_.options);
      if (s3.ok()) place.s3 = &*s3;
      if (!s3.ok() && settings_.command() != kSnapshotList) return s3.status();
    }
    if (settings_.command() == kSnapshotList) {
      ASSIGN_OR_RETURN(const SnapshotList list, ListSnapshots(place));
      RETURN_IF_ERROR(
          PrintList(EncodeSnapshotList({list.records}, context_.distribution.label_domain)));
      return with_s3 && !s3.ok() ? s3.status() : list.s3_status;
    }
    ASSIGN_OR_RETURN(const auto lock, LockOutServers(), "a server runs on {} but does not answer",
                     layout_.data_dir());
    return settings_.command() == kSnapshotPrune ? PruneLocally(place) : DeleteLocally(place);
  }

  // No server may start and take snapshots meanwhile. Without a data directory there is none to start.
  StatusOr<std::unique_ptr<File>> LockOutServers() {
    std::unique_ptr<File> lock;
    ASSIGN_OR_RETURN(const bool has_server_dir, Exists(fs_, layout_.server()));
    if (has_server_dir) {
      ASSIGN_OR_RETURN(lock, fs_.OpenOrCreate(layout_.lock(), 0600));
      RETURN_IF_ERROR(lock->TryLock());
    }
    return lock;
  }

  // What a server beside that datastore would do.
  Status SaveOfDatastore(SnapshotRequest request) {
    ASSIGN_OR_RETURN(const DatastoreSettings settings,
                     ReadDatastoreSettings(settings_, "datastore", context_.host));
    ASSIGN_OR_RETURN(const DatastoreKind* kind, KindOfEndpoint(settings.endpoint));
    SnapshotOptions options{.directory = request.directory.value_or(layout_.snapshots()),
                            .is_default_directory = !request.directory,
                            .compression = kind->default_compression,
                            .s3 = s3_};
    request.directory.reset();
    std::unique_ptr<File> lock;
    if (options.is_default_directory) {
      auto locked = LockOutServers();
      RETURN_IF_ERROR(WithHint(
          Annotate(locked.status(), fmt::format("a server runs on {}", layout_.data_dir())),
          "That server takes snapshots there: name another directory with "
          "--etcd-snapshot-dir, or let it do it."));
      lock = *std::move(locked);
    }
    Metrics metrics(context_.distribution.metric_prefix);
    SnapshotService service(
        {.fs = fs_,
         .clock = SystemClock(),
         .random = SystemRandom(),
         .metrics = metrics,
         .options = options,
         .open_s3 = MakeS3Opener(fs_, SystemClock(), SystemRandom(), context_.stop),
         .node = NodeNameFrom(settings_, context_.host),
         .cluster_id = ClusterId(),
         .token_hash = [this] { return OwnTokenHash(); },
         .datastore =
             [&] {
               return kind->open({.fs = fs_,
                                  .clock = SystemClock(),
                                  .endpoint = settings.endpoint,
                                  .ca_file = settings.ca_file,
                                  .certificate_file = settings.certificate_file,
                                  .key_file = settings.key_file});
             },
         .stop = context_.stop,
         .reconciles = false});
    ProgressBar bar(SystemClock(), "Saving", context_.terminal);
    ASSIGN_OR_RETURN(const SnapshotResult result, service.Save(request, [&](const Progress& p) {
      if (p.step == "upload") bar.Begin("Uploading");
      bar.Update(p.done, p.total);
    }));
    Report(result);
    return OkStatus();
  }

  // Of a server's token on this host; empty: there is none.
  std::string OwnTokenHash() {
    const auto password = ServerPassword(fs_, layout_, Secret());
    return password.ok() && !password->empty() ? TokenHash(*password) : "";
  }

  // Which cluster's server has been here; empty: none.
  std::string ClusterId() {
    const auto ca = ReadFile(fs_, JoinPath(layout_.tls(), "server-ca.crt"), kCaBytesMax);
    return ca.ok() ? CaHash(*ca).value_or("") : "";
  }

  Status PruneLocally(const SnapshotPlace& place) {
    const std::string base = settings_.Text("name");
    const std::int64_t keep = settings_.IsSet("snapshot-retention")
                                  ? settings_.Integer("snapshot-retention").value_or(0)
                                  : 5;
    const PruneReport report = PruneDirectory(place, base, keep, SystemClock().Now());
    SnapshotResult result{
        .created = {}, .deleted = report.deleted, .considered = report.considered};
    Status status = report.status;
    if (place.s3 != nullptr) {
      const PruneReport in_s3 = PruneS3(place, base, s3_.retention, SystemClock().Now());
      result.deleted.insert(result.deleted.end(), in_s3.deleted.begin(), in_s3.deleted.end());
      result.considered.insert(result.considered.end(), in_s3.considered.begin(),
                               in_s3.considered.end());
      if (status.ok()) status = in_s3.status;
    }
    Report(result);
    return status;
  }

  Status DeleteLocally(const SnapshotPlace& place) {
    const DeleteReport report = DeleteSnapshots(place, context_.positionals);
    if (report.status.ok() || !report.deleted.empty())
      Report({.created = {}, .deleted = report.deleted});
    return report.status;
  }

  // --- output ---

  void Report(const SnapshotResult& result) const {
    for (const std::string& name : result.created) LogInfo("Snapshot {} saved.", name);
    for (const std::string& name : result.deleted) LogInfo("Snapshot {} deleted.", name);
    if (settings_.command() == kSnapshotPrune && result.deleted.empty()) {
      for (const SnapshotResult::Considered& c : result.considered) {
        LogInfo("Nothing to prune in {}: {} snapshots of base {}, limit {}", c.place, c.count,
                settings_.Text("name"), c.limit < 1 ? "none" : fmt::format("{}", c.limit));
      }
    }
    if (settings_.command() != kSnapshotDelete) return;
    for (const std::string& name : context_.positionals) {
      const bool deleted =
          std::find(result.deleted.begin(), result.deleted.end(), name) != result.deleted.end();
      if (!deleted) LogWarn("Snapshot {} not found.", name);
    }
  }

  Status PrintList(const std::string& json) const {
    const std::string output = settings_.Text("output");
    ASSIGN_OR_RETURN(const SnapshotListing list, DecodeSnapshotList(json));
    const std::vector<SnapshotRecord>& records = list.records;
    // A server's answer may come in another form of the same JSON; what is printed is always ours.
    const std::string canonical = EncodeSnapshotList({records}, context_.distribution.label_domain);
    if (output == "json") {
      std::fputs(canonical.c_str(), stdout);
    } else if (output == "yaml") {
      std::fputs(JsonToYaml(canonical).c_str(), stdout);
    } else {
      std::fputs(SnapshotTable(records, context_.host.zone).c_str(), stdout);
      for (const SnapshotRecord& r : records) {
        if (!r.error.empty()) LogWarn("Snapshot {}: {}", r.location, r.error);
      }
    }
    for (const SnapshotListing::SilentServer& s : list.silent)
      LogWarn("The list is without the snapshots of {}: {}", s.node, s.why);
    return OkStatus();
  }

  const CommandContext& context_;
  const Settings& settings_;
  FileSystem& fs_;
  DataLayout layout_;
  const std::string url_;
  S3Settings s3_;
  bool connected_ = false;
};

}  // namespace

std::string SnapshotTable(const std::vector<SnapshotRecord>& records, absl::TimeZone zone) {
  std::vector<std::vector<std::string>> rows = {{"Name", "Location", "Size", "Created"}};
  for (const SnapshotRecord& r : records)
    rows.push_back(
        {r.name, r.location, fmt::format("{}", r.bytes), FormatRfc3339(r.created_at, zone)});
  // Of which server is said where there are several.
  const bool several = std::any_of(records.begin(), records.end(), [&](const auto& r) {
    return r.node_name != records[0].node_name;
  });
  if (several) {
    rows[0].insert(rows[0].begin() + 1, "Node");
    for (std::size_t i = 0; i < records.size(); ++i)
      rows[i + 1].insert(rows[i + 1].begin() + 1, records[i].node_name);
  }
  return FormatTable(rows);
}

Status RunSnapshotCommand(const CommandContext& context) { return SnapshotCommand(context).Run(); }

}  // namespace holdfast
