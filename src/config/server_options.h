// The `server` command's settings as values, checked: what is wrong is said at start, with the place where it stood.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/distribution.h"
#include "base/redacted.h"
#include "config/s3_settings.h"
#include "config/settings.h"
#include "schedule/cron.h"
#include "stream/compression.h"

namespace holdfast {

// What the machine says about itself, as far as options depend on it.
struct HostFacts {
  std::string host_name;
  std::string node_address;
  std::string working_directory;
  absl::TimeZone zone;
  absl::Time now;
};

struct SnapshotOptions {
  std::string directory;             // absolute
  bool is_default_directory = true;  // made if it is not there
  std::string base = "etcd-snapshot";
  std::optional<CronSchedule> schedule;  // none: no scheduled snapshots
  absl::Duration reconcile_interval = absl::Minutes(10);
  std::int64_t retention = 5;
  Compression compression = Compression::kNone;
  bool compression_given = false;  // else a kind of datastore may have a better default
  S3Settings s3;
};

// --datastore-endpoint and its TLS files; no endpoint: an etcd of our own.
struct DatastoreSettings {
  Secret endpoint;                                  // as given; may hold a password
  std::string ca_file, certificate_file, key_file;  // absolute, or empty
};

struct ServerOptions {
  std::string data_dir;  // absolute
  std::string node_name;
  bool with_node_id = false;
  std::string server_url;  // of a server to join; empty: none. Without a slash at its end
  bool rejoin = false;     // set the data aside and join
  Secret token, agent_token;
  std::string token_file, agent_token_file;
  std::string bind_address, node_address;
  std::vector<std::string> sans;  // names and addresses for certificates, besides loopback
  int supervisor_port = 0;

  bool cluster_reset = false;
  bool dry_run = false;      // of a reset
  std::string restore_path;  // as given
  std::uint64_t bump_revision = 0;
  bool mark_compacted = false;

  std::string etcd_binary;
  std::vector<std::string> etcd_args;
  int etcd_client_port = 0, etcd_peer_port = 0, etcd_metrics_port = 0, etcd_client_http_port = 0;
  bool etcd_expose_metrics = false;
  absl::Duration etcd_auto_compaction_retention;

  DatastoreSettings datastore;
  SnapshotOptions snapshots;
};

// kInvalidArgument for values that are wrong alone or together (messages: RKE2's where it has them).
StatusOr<ServerOptions> MakeServerOptions(const Settings& settings,
                                          const Distribution& distribution, const HostFacts& host);

// `prefix` is "datastore" or, for a migration, "from" and "to"; the flag of the endpoint itself is "datastore-endpoint",
// else the prefix. kInvalidArgument for TLS files that are not both there.
StatusOr<DatastoreSettings> ReadDatastoreSettings(const Settings& settings, std::string_view prefix,
                                                  const HostFacts& host);

// The node name: --node-name, else the host name; lower case.
std::string NodeNameFrom(const Settings& settings, const HostFacts& host);

// --data-dir, else the distribution's; absolute.
std::string DataDirFrom(const Settings& settings, const Distribution& distribution,
                        const HostFacts& host);

}  // namespace holdfast
