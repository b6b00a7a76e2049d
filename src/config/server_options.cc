#include "config/server_options.h"

#include <array>
#include <set>

#include "artifact/naming.h"
#include "base/layout.h"
#include "base/path.h"
#include "base/text.h"
#include "os/host.h"

namespace holdfast {
namespace {

StatusOr<int> Port(const Settings& settings, std::string_view name, int default_port) {
  if (!settings.IsSet(name) && default_port > 0) return default_port;
  ASSIGN_OR_RETURN(const std::int64_t value, settings.Integer(name));
  if (value < 1 || value > 65535)
    return settings.Invalid(name, fmt::format("{} is not a port between 1 and 65535", value));
  return static_cast<int>(value);
}

Status ReadPorts(const Settings& settings, const Distribution& distribution, ServerOptions& o) {
  ASSIGN_OR_RETURN(o.supervisor_port,
                   Port(settings, "supervisor-port", distribution.supervisor_port));
  ASSIGN_OR_RETURN(o.etcd_client_port, Port(settings, "etcd-client-port", 0));
  ASSIGN_OR_RETURN(o.etcd_peer_port, Port(settings, "etcd-peer-port", 0));
  ASSIGN_OR_RETURN(o.etcd_metrics_port, Port(settings, "etcd-metrics-port", 0));
  ASSIGN_OR_RETURN(o.etcd_client_http_port, Port(settings, "etcd-client-http-port", 0));
  std::set<int> seen;
  for (int port : {o.supervisor_port, o.etcd_client_port, o.etcd_peer_port, o.etcd_metrics_port,
                   o.etcd_client_http_port}) {
    if (!seen.insert(port).second)
      return InvalidArgumentError("port {} is set for two things", port);
  }
  return OkStatus();
}

Status CheckAddress(const Settings& settings, std::string_view flag, const std::string& address) {
  if (IsIpAddress(address)) return OkStatus();
  return settings.Invalid(flag, fmt::format("\"{}\" is not an IP address", address));
}

// Every part of a list whose items may hold several, with commas between them.
std::vector<std::string> Parts(const Settings& settings, std::string_view flag) {
  std::vector<std::string> out;
  for (const std::string& item : settings.List(flag)) {
    for (const std::string& part : Split(item, ',')) {
      if (const auto trimmed = Trim(part); !trimmed.empty()) out.emplace_back(trimmed);
    }
  }
  return out;
}

Status ReadAddresses(const Settings& settings, const HostFacts& host, ServerOptions& o) {
  o.bind_address = settings.Text("bind-address");
  RETURN_IF_ERROR(CheckAddress(settings, "bind-address", o.bind_address));
  for (const char* flag : {"node-ip", "node-external-ip"}) {
    for (const std::string& address : Parts(settings, flag))
      RETURN_IF_ERROR(CheckAddress(settings, flag, address));
  }
  const std::string advertised = settings.Text("advertise-address");
  if (!advertised.empty()) RETURN_IF_ERROR(CheckAddress(settings, "advertise-address", advertised));
  const std::vector<std::string> node_ips = Parts(settings, "node-ip");
  o.node_address = !advertised.empty() ? advertised
                   : !node_ips.empty() ? node_ips[0]
                                       : host.node_address;
  std::set<std::string> sans = {o.node_name, o.node_name.substr(0, o.node_name.find('.')),
                                o.node_address};
  for (const char* flag : {"node-ip", "node-external-ip", "tls-san"}) {
    for (const std::string& name : Parts(settings, flag)) sans.insert(name);
  }
  o.sans.assign(sans.begin(), sans.end());
  return OkStatus();
}

Status ReadSnapshots(const Settings& settings, const HostFacts& host, const DataLayout& layout,
                     SnapshotOptions& o) {
  o.is_default_directory = settings.Text("etcd-snapshot-dir").empty();
  o.directory = o.is_default_directory
                    ? layout.snapshots()
                    : AbsolutePath(settings.Text("etcd-snapshot-dir"), host.working_directory);
  o.base = settings.Text("etcd-snapshot-name");
  if (const Status good = CheckBaseName(o.base); !good.ok())
    return settings.Invalid("etcd-snapshot-name", MessageOf(good));
  ASSIGN_OR_RETURN(o.retention, settings.Integer("etcd-snapshot-retention"));
  ASSIGN_OR_RETURN(o.reconcile_interval, settings.Duration("etcd-snapshot-reconcile-interval"));
  if (o.reconcile_interval <= absl::ZeroDuration()) {
    return settings.Invalid("etcd-snapshot-reconcile-interval",
                            "etcd-snapshot-reconcile-interval must be greater than 0s");
  }
  ASSIGN_OR_RETURN(const bool compress, settings.Bool("etcd-snapshot-compress"));
  o.compression = compress ? Compression::kZip : Compression::kNone;
  o.compression_given =
      settings.IsSet("etcd-snapshot-compress") || settings.IsSet("etcd-snapshot-compression");
  if (settings.IsSet("etcd-snapshot-compression") &&
      !settings.IsOverridden("etcd-snapshot-compression", "etcd-snapshot-compress")) {
    const std::string name = settings.Text("etcd-snapshot-compression");
    const auto compression = ParseCompression(name);
    if (!compression)
      return settings.Invalid("etcd-snapshot-compression",
                              fmt::format("\"{}\" is not one of none, zip, zstd", name));
    o.compression = *compression;
  }
  ASSIGN_OR_RETURN(const bool disabled, settings.Bool("etcd-disable-snapshots"));
  auto schedule = CronSchedule::Parse(settings.Text("etcd-snapshot-schedule-cron"), host.zone);
  if (!schedule.ok()) {
    return WithHint(settings.Invalid("etcd-snapshot-schedule-cron", MessageOf(schedule.status())),
                    HintOf(schedule.status()));
  }
  if (schedule->Next(host.now) == absl::InfiniteFuture()) {
    return settings.Invalid(
        "etcd-snapshot-schedule-cron",
        fmt::format("\"{}\" never comes in the next five years", schedule->text()));
  }
  if (!disabled) o.schedule = *std::move(schedule);
  return OkStatus();
}

Status ReadReset(const Settings& settings, ServerOptions& o) {
  ASSIGN_OR_RETURN(o.cluster_reset, settings.Bool("cluster-reset"));
  o.restore_path = settings.Text("cluster-reset-restore-path");
  ASSIGN_OR_RETURN(const std::int64_t bump, settings.Integer("bump-revision"));
  ASSIGN_OR_RETURN(o.mark_compacted, settings.Bool("mark-compacted"));
  if (bump < 0) return settings.Invalid("bump-revision", fmt::format("{} is negative", bump));
  o.bump_revision = static_cast<std::uint64_t>(bump);
  ASSIGN_OR_RETURN(o.dry_run, settings.Bool("dry-run"));
  if (o.dry_run && !o.cluster_reset)
    return InvalidArgumentError("invalid flag use; --cluster-reset required with --dry-run");
  if (!o.restore_path.empty() && !o.cluster_reset) {
    return InvalidArgumentError(
        "invalid flag use; --cluster-reset required with --cluster-reset-restore-path");
  }
  if ((o.bump_revision > 0 || o.mark_compacted) && o.restore_path.empty()) {
    return InvalidArgumentError(
        "invalid flag use; --cluster-reset-restore-path required with --bump-revision and "
        "--mark-compacted");
  }
  if ((o.bump_revision > 0) != o.mark_compacted) {
    return InvalidArgumentError(
        "invalid flag use; --bump-revision and --mark-compacted must come together");
  }
  std::string url = settings.Text("server");
  while (url.ends_with('/')) url.pop_back();
  ASSIGN_OR_RETURN(o.rejoin, settings.Bool("rejoin"));
  if (o.rejoin && o.cluster_reset)
    return InvalidArgumentError(
        "invalid flag use; --rejoin and --cluster-reset exclude each other");
  if (o.rejoin && url.empty())
    return InvalidArgumentError("invalid flag use; --server required with --rejoin");
  if (url.empty()) return OkStatus();
  if (!url.starts_with("https://")) {
    return InvalidArgumentError("only https:// URLs are supported, invalid scheme: {}", url);
  }
  if (o.cluster_reset) {
    return WithHint(FailedPreconditionError("cannot perform cluster-reset while server URL is set "
                                            "- remove server from configuration before resetting"),
                    fmt::format("It is set by {}.", settings.Where("server")));
  }
  o.server_url = std::move(url);
  return OkStatus();
}

// What is only for an etcd of our own.
Status CheckDatastoreUse(const Settings& settings, const ServerOptions& o) {
  ASSIGN_OR_RETURN(const bool no_etcd, settings.Bool("disable-etcd"));
  if (o.datastore.endpoint.empty()) {
    if (!no_etcd) return OkStatus();
    return WithHint(InvalidArgumentError("invalid flag use; --datastore-endpoint required with "
                                         "--disable-etcd"),
                    "A server without an etcd of its own protects the datastore of that endpoint.");
  }
  if (o.cluster_reset) {
    return WithHint(
        InvalidArgumentError("invalid flag use; --cluster-reset is for an etcd of our own, and "
                             "--datastore-endpoint names another datastore"),
        "A snapshot goes back into it with: restore SNAPSHOT --datastore-endpoint=...");
  }
  if (!o.server_url.empty()) {
    return WithHint(
        InvalidArgumentError("invalid flag use; --server joins a cluster, and --datastore-endpoint "
                             "names another datastore"),
        "Each server beside that datastore works alone: start it with --datastore-endpoint only.");
  }
  return OkStatus();
}

}  // namespace

StatusOr<DatastoreSettings> ReadDatastoreSettings(const Settings& settings, std::string_view prefix,
                                                  const HostFacts& host) {
  const auto flag = [&](std::string_view what) { return fmt::format("{}-{}", prefix, what); };
  const auto file = [&](std::string_view what) {
    const std::string path = settings.Text(flag(what));
    return path.empty() ? path : AbsolutePath(path, host.working_directory);
  };
  DatastoreSettings out{
      .endpoint = settings.SecretText(prefix == "datastore" ? flag("endpoint") : prefix),
      .ca_file = file("cafile"),
      .certificate_file = file("certfile"),
      .key_file = file("keyfile")};
  if (out.certificate_file.empty() != out.key_file.empty()) {
    return InvalidArgumentError("invalid flag use; --{} and --{} must come together",
                                flag("certfile"), flag("keyfile"));
  }
  return out;
}

std::string NodeNameFrom(const Settings& settings, const HostFacts& host) {
  const std::string name = settings.Text("node-name");
  return ToLower(name.empty() ? host.host_name : name);
}

std::string DataDirFrom(const Settings& settings, const Distribution& distribution,
                        const HostFacts& host) {
  const std::string directory = settings.Text("data-dir");
  return AbsolutePath(directory.empty() ? distribution.data_dir : directory,
                      host.working_directory);
}

StatusOr<ServerOptions> MakeServerOptions(const Settings& settings,
                                          const Distribution& distribution, const HostFacts& host) {
  ServerOptions o;
  o.data_dir = DataDirFrom(settings, distribution, host);
  o.node_name = NodeNameFrom(settings, host);
  if (const Status good = CheckBaseName(o.node_name); !good.ok()) {
    return settings.Invalid("node-name",
                            fmt::format("\"{}\" cannot be part of a file name", o.node_name));
  }
  ASSIGN_OR_RETURN(o.with_node_id, settings.Bool("with-node-id"));
  o.token = settings.SecretText("token");
  o.token_file = settings.Text("token-file");
  o.agent_token = settings.SecretText("agent-token");
  o.agent_token_file = settings.Text("agent-token-file");
  RETURN_IF_ERROR(ReadAddresses(settings, host, o));
  RETURN_IF_ERROR(ReadPorts(settings, distribution, o));
  RETURN_IF_ERROR(ReadReset(settings, o));
  ASSIGN_OR_RETURN(o.datastore, ReadDatastoreSettings(settings, "datastore", host));
  RETURN_IF_ERROR(CheckDatastoreUse(settings, o));
  o.etcd_binary = settings.Text("etcd-binary");
  o.etcd_args = settings.List("etcd-arg");
  ASSIGN_OR_RETURN(o.etcd_expose_metrics, settings.Bool("etcd-expose-metrics"));
  ASSIGN_OR_RETURN(o.etcd_auto_compaction_retention,
                   settings.Duration("etcd-auto-compaction-retention"));
  if (o.etcd_auto_compaction_retention < absl::ZeroDuration()) {
    return settings.Invalid("etcd-auto-compaction-retention", "it is negative");
  }
  RETURN_IF_ERROR(ReadSnapshots(settings, host, DataLayout(o.data_dir), o.snapshots));
  ASSIGN_OR_RETURN(o.snapshots.s3, ReadS3Settings(settings, distribution, host.working_directory));
  return o;
}

}  // namespace holdfast
