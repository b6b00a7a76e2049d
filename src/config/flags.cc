#include "config/flags.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "store/s3/s3_options.h"

namespace holdfast {
namespace {

using enum FlagType;

constexpr std::string_view kNoSecret =
    "secrets of Kubernetes cannot be read here; give the S3 settings themselves, as flags or in "
    "the configuration file";
constexpr std::uint32_t kDatastoreUsers = kServer | kSnapshotSave | kRestore | kDatastoreStatus;
constexpr std::uint32_t kWithServer = kServer | kSnapshotCommands;
constexpr std::uint32_t kEverywhere =
    kWithServer | kAgent | kClusterCommands | kTokenShow | kCertificateRotate;
// Who writes to S3, and who only reads there.
constexpr std::uint32_t kS3Writers = kWithServer | kS3Check,
                        kS3Users = kS3Writers | kRestore | kSnapshotStatus;

constexpr auto kFlags = std::to_array<Flag>({
    // --- all commands that have a configuration ---
    {kEverywhere | kS3Check | kRestore | kDatastoreStatus | kDatastoreMigrate, "config", "", 'c',
     kText, "FILE", "", "Load configuration from FILE and FILE.d/*.yaml", "CONFIG_FILE"},
    {kEverywhere | kS3Users | kDatastoreStatus | kDatastoreMigrate, "debug", "", 0, kBool, "",
     "false", "Log more"},
    {kEverywhere, "data-dir", "", 'd', kText, "DIR", "", "Folder that holds all state"},
    {kWithServer | kAgent, "node-name", "", 0, kText, "NAME", "",
     "Name of this node, also in snapshot names (default: the host name)"},

    // --- server: identity and listening ---
    {kServer | kAgent, "token", "", 't', kText, "TOKEN", "",
     "Shared secret: joins servers and agents, seals the bootstrap data in the datastore", "", "",
     /*secret=*/true},
    {kServer | kAgent, "token-file", "", 0, kText, "FILE", "",
     "File with the token; waits up to 4 minutes for it to appear"},
    {kServer, "agent-token", "", 0, kText, "TOKEN", "",
     "A token of its own for agents (default: the server's)", "", "", true},
    {kServer, "agent-token-file", "", 0, kText, "FILE", "", "File with the agent token"},
    {kServer | kAgent, "server", "", 's', kText, "URL", "",
     "Server to join, with --token (https only); ignored once this node has data, except to ask "
     "what the cluster is now",
     "URL"},
    {kServer, "rejoin", "", 0, kBool, "", "false",
     "With --server: if the data here are not those of the cluster as it is now, move them aside "
     "and join anew; snapshots stay"},
    {kServer, "with-node-id", "", 0, kBool, "", "false", "Append a unique id to the node name"},
    {kServer, "bind-address", "", 0, kText, "IP", "0.0.0.0", "Address the supervisor listens on"},
    {kServer, "advertise-address", "", 0, kText, "IP", "",
     "Address other hosts use for this node (default: node-ip)"},
    {kServer | kAgent, "node-ip", "", 'i', kList, "IP", "",
     "Address of this node (default: that of the default route)"},
    {kServer, "node-external-ip", "", 0, kList, "IP", "", "Further addresses for certificates"},
    {kServer, "tls-san", "", 0, kList, "NAME", "",
     "Further host names or addresses for certificates"},
    {kWithServer | kClusterCommands, "supervisor-port", "", 0, kInteger, "PORT", "",
     "Port of the supervisor's HTTPS (default: 9345)"},

    // --- server: reset and restore ---
    {kServer, "cluster-reset", "", 0, kBool, "", "false",
     "Forget all peers and become the only member of the cluster, then exit"},
    {kServer, "cluster-reset-restore-path", "", 0, kText, "SNAPSHOT", "",
     "With --cluster-reset: replace the data by this snapshot: a path, a name in the snapshot "
     "directory or (with --etcd-s3) the bucket's folder, file:///PATH, or s3://BUCKET/KEY"},
    {kServer | kRestore, "dry-run", "", 0, kBool, "", "false",
     "With --cluster-reset, or restore --datastore-endpoint: say what it would do, lose and need, "
     "and touch nothing",
     "-"},
    {kServer | kRestore, "bump-revision", "", 0, kInteger, "N", "0",
     "Raise the revision of the restored data by N, above any that clients have seen; needs "
     "--mark-compacted"},
    {kServer | kRestore, "mark-compacted", "", 0, kBool, "", "false",
     "With --bump-revision: mark all older revisions as compacted, so that watches start again"},

    // --- another datastore than an etcd of our own ---
    {kDatastoreUsers, "datastore-endpoint", "", 0, kText, "URL", "",
     "Protect this datastore instead of running an etcd: https://HOST:2379,... (etcd), "
     "sqlite://PATH, postgres://USER:PASSWORD@HOST:5432/DB, "
     "mysql://USER:PASSWORD@tcp(HOST:3306)/DB",
     "", "", /*secret=*/true},
    {kDatastoreUsers, "datastore-cafile", "", 0, kText, "FILE", "",
     "CA certificates of the datastore's server (PEM)"},
    {kDatastoreUsers, "datastore-certfile", "", 0, kText, "FILE", "",
     "Client certificate for the datastore"},
    {kDatastoreUsers, "datastore-keyfile", "", 0, kText, "FILE", "", "Its key"},
    {kServer, "disable-etcd", "", 0, kBool, "", "false", "", "", "", false, /*hidden=*/true},
    {kDatastoreMigrate, "from", "", 0, kText, "URL", "",
     "Datastore to copy from, as in --datastore-endpoint; it is only read", "MIGRATE_FROM", "",
     true},
    {kDatastoreMigrate, "from-cafile", "", 0, kText, "FILE", "", "CA certificates of its server",
     "-"},
    {kDatastoreMigrate, "from-certfile", "", 0, kText, "FILE", "", "Client certificate for it",
     "-"},
    {kDatastoreMigrate, "from-keyfile", "", 0, kText, "FILE", "", "Its key", "-"},
    {kDatastoreMigrate, "to", "", 0, kText, "URL", "", "Datastore to copy to; it must hold no keys",
     "MIGRATE_TO", "", true},
    {kDatastoreMigrate, "to-cafile", "", 0, kText, "FILE", "", "CA certificates of its server",
     "-"},
    {kDatastoreMigrate, "to-certfile", "", 0, kText, "FILE", "", "Client certificate for it", "-"},
    {kDatastoreMigrate, "to-keyfile", "", 0, kText, "FILE", "", "Its key", "-"},
    {kDatastoreMigrate, "live-only", "", 0, kBool, "", "false",
     "Leave the history of kine's tables behind", "-"},
    {kRestore, "clean", "", 0, kBool, "", "false",
     "With --datastore-endpoint: replace what the datastore holds; a snapshot of it is taken first",
     "-"},
    {kRestore, "into-live", "", 0, kBool, "", "false",
     "With an etcd as --datastore-endpoint: write the snapshot's keys into the running cluster",
     "-"},
    {kRestore, "yes", "", 'y', kBool, "", "false", "Do not ask before data are replaced", "-"},
    {kRestore, "token", "", 't', kText, "TOKEN", "",
     "With --datastore-endpoint: the token of the snapshot's time, if bootstrap data are in it", "",
     "", true},
    {kRestore, "token-file", "", 0, kText, "FILE", "", "File with that token"},

    // --- server: etcd ---
    {kServer | kVersion, "etcd-binary", "", 0, kText, "FILE", "etcd",
     "The etcd program to run; a name is looked for on PATH"},
    {kServer, "etcd-arg", "", 0, kList, "KEY=VALUE", "", "Option for etcd's configuration file"},
    {kServer | kAgent, "etcd-client-port", "", 0, kInteger, "PORT", "2379",
     "Port for etcd's clients; on an agent: where applications on this host reach the cluster's "
     "etcd"},
    {kServer, "etcd-peer-port", "", 0, kInteger, "PORT", "2380", "Port for etcd's peers"},
    {kServer, "etcd-metrics-port", "", 0, kInteger, "PORT", "2381",
     "Port of etcd's metrics (plain HTTP, loopback)"},
    {kServer, "etcd-client-http-port", "", 0, kInteger, "PORT", "2382",
     "Port of etcd's HTTP gateway (3.5 and later, loopback)"},
    {kServer, "etcd-expose-metrics", "", 0, kBool, "", "false",
     "etcd's metrics on the node's address too"},
    {kServer, "etcd-auto-compaction-retention", "", 0, kDuration, "DURATION", "1h",
     "History etcd keeps before it compacts; 0 turns compaction off"},

    // --- server: snapshots ---
    {kServer, "etcd-disable-snapshots", "", 0, kBool, "", "false", "No scheduled snapshots"},
    {kServer, "etcd-snapshot-name", "", 0, kText, "NAME", "etcd-snapshot",
     "Base name of scheduled snapshots"},
    {kServer, "etcd-snapshot-schedule-cron", "", 0, kText, "CRON", "0 */12 * * *",
     "When scheduled snapshots are taken"},
    {kServer, "etcd-snapshot-reconcile-interval", "", 0, kDuration, "DURATION", "10m",
     "How often the snapshots that exist are looked at"},
    {kServer, "etcd-snapshot-retention", "", 0, kInteger, "N", "5",
     "Scheduled snapshots that are kept; below 1 all are"},
    {kServer | kRestore, "etcd-snapshot-dir", "", 0, kText, "DIR", "",
     "Where snapshots are kept (default: DATA/server/db/snapshots)"},
    {kServer, "etcd-snapshot-compress", "", 0, kBool, "", "false", "Compress snapshots (zip)"},
    {kServer | kSnapshotSave, "etcd-snapshot-compression", "snapshot-compression", 0, kText,
     "none|zip|zstd", "none", "How snapshots are compressed; wins over etcd-snapshot-compress"},

    // --- etcd-snapshot ---
    {kSnapshotCommands, "log", "", 'l', kText, "FILE", "", "Log to FILE"},
    {kSnapshotCommands, "alsologtostderr", "", 0, kBool, "", "false",
     "With --log: log to stderr as well"},
    {kSnapshotCommands | kClusterCommands, "etcd-token", "", 't', kText, "TOKEN", "",
     "Server token, here also --token (default: the content of DATA/server/token)", "", "", true},
    {kSnapshotCommands | kClusterCommands, "etcd-server", "", 's', kText, "URL", "",
     "Server that does the work, here also --server (default: https://127.0.0.1:9345)"},
    // The words of server and agent, for who types them here. In a file they say whom to join, not whom to ask.
    {kSnapshotCommands | kClusterCommands | kS3Check, "server", "", 0, kText, "URL", "", "", "-",
     "", false,
     /*hidden=*/true},
    {kSnapshotCommands | kClusterCommands | kS3Check, "token", "", 0, kText, "TOKEN", "", "", "-",
     "", true,
     /*hidden=*/true},
    {kSnapshotSave | kSnapshotPrune, "name", "", 0, kText, "NAME", "on-demand",
     "Base name of the snapshots"},
    {kSnapshotList | kSnapshotDelete, "name", "", 0, kText, "NAME", "on-demand", "", "", "", false,
     /*hidden=*/true},
    {kSnapshotCommands, "dir", "etcd-snapshot-dir", 0, kText, "DIR", "",
     "Where the snapshots are kept (default: the server's)", "ETCD_SNAPSHOT_DIR"},
    {kSnapshotCommands, "snapshot-compress", "etcd-snapshot-compress", 0, kBool, "", "",
     "Compress the snapshot (default: the server's setting)", "ETCD_SNAPSHOT_COMPRESS"},
    {kSnapshotCommands, "snapshot-retention", "etcd-snapshot-retention", 0, kInteger, "N", "",
     "Snapshots that are kept (default: the server's setting)", "ETCD_SNAPSHOT_RETENTION"},
    {kSnapshotList, "local", "", 0, kBool, "", "false",
     "Only what this server has, not what the other servers of the cluster have", "-"},
    {kNodeRemove, "force", "", 0, kBool, "", "false",
     "Remove a node that does not answer; one that is only cut off may serve old data to readers "
     "until it learns of it",
     "-"},
    {kTokenRotate, "new-token", "", 0, kText, "TOKEN", "",
     "The token from now on (default: one made at random)", "", "", /*secret=*/true},
    // Who replaces "save" by "s3-check" in a command need not take these away.
    {kS3Check, "data-dir", "", 'd', kText, "DIR", "", "", "", "", false, /*hidden=*/true},
    {kS3Check, "etcd-server", "", 's', kText, "URL", "", "", "", "", false, /*hidden=*/true},
    {kS3Check, "etcd-token", "", 't', kText, "TOKEN", "", "", "", "", true, /*hidden=*/true},
    {kS3Check, "dir", "etcd-snapshot-dir", 0, kText, "DIR", "", "", "", "", false, /*hidden=*/true},
    {kSnapshotList | kSnapshotStatus | kS3Check | kNodeList | kServer | kDatastoreStatus, "output",
     "", 'o', kText, "table|json|yaml", "table", "Output format", "-"},

    // --- restore ---
    {kRestore, "data-dir", "", 0, kText, "DIR", "",
     "etcd data directory to make; must not exist or be empty", "-"},
    {kRestore, "wal-dir", "", 0, kText, "DIR", "", "Separate directory for the WAL; must not exist",
     "-"},
    {kRestore, "name", "", 0, kText, "NAME", "default", "Name of this member", "-"},
    {kRestore, "initial-cluster", "", 0, kText, "NAME=URL,...", "default=http://localhost:2380",
     "Members of the new cluster", "-"},
    {kRestore, "initial-cluster-token", "", 0, kText, "TOKEN", "etcd-cluster",
     "Token of the new cluster: part of its ids", "-"},
    {kRestore, "initial-advertise-peer-urls", "", 0, kText, "URL,...", "http://localhost:2380",
     "Peer URLs of this member", "-"},
    {kRestore, "skip-hash-check", "", 0, kBool, "", "false",
     "Take a file without digest (a copy of member/snap/db), or ignore the digest", "-"},
    {kRestore, "clear-alarms", "", 0, kBool, "", "false",
     "Drop alarms that were raised when the snapshot was taken", "-"},

    // --- S3 ---
    {kS3Users, "etcd-s3", "s3", 0, kBool, "", "false",
     "Keep copies of the snapshots in an S3 bucket, list and prune them there, restore from there"},
    {kS3Users, "etcd-s3-endpoint", "s3-endpoint", 0, kText, "HOST[:PORT]", kS3EndpointDefault,
     "The S3 service"},
    {kS3Users, "etcd-s3-endpoint-ca", "s3-endpoint-ca", 0, kList, "FILE", "",
     "CA certificates of the endpoint: PEM files, or base64 of PEM (default: the system's)"},
    {kS3Users, "etcd-s3-skip-ssl-verify", "s3-skip-ssl-verify", 0, kBool, "", "false",
     "Take any certificate of the endpoint: whoever is in between can read and replace snapshots"},
    {kS3Users, "etcd-s3-access-key", "s3-access-key", 0, kText, "KEY", "",
     "Access key (default: the credentials that the AWS tools would find)", "", "AWS_ACCESS_KEY_ID",
     true},
    {kS3Users, "etcd-s3-secret-key", "s3-secret-key", 0, kText, "KEY", "", "Its secret", "",
     "AWS_SECRET_ACCESS_KEY", true},
    {kS3Users, "etcd-s3-session-token", "s3-session-token", 0, kText, "TOKEN", "",
     "Token of a temporary access key", "", "AWS_SESSION_TOKEN", true},
    {kS3Users, "etcd-s3-bucket", "s3-bucket", 0, kText, "BUCKET", "", "The bucket; it must exist"},
    {kS3Users, "etcd-s3-bucket-lookup-type", "s3-bucket-lookup-type", 0, kText, "auto|dns|path",
     "auto", "Whether the bucket stands in the host name or in the path"},
    {kS3Users, "etcd-s3-region", "s3-region", 0, kText, "REGION", kS3RegionDefault,
     "Region of the bucket"},
    {kS3Users, "etcd-s3-folder", "s3-folder", 0, kText, "FOLDER", "",
     "Folder of the bucket (default: none)"},
    {kS3Users, "etcd-s3-proxy", "s3-proxy", 0, kText, "URL|none", "",
     "Proxy on the way to the endpoint (default: the environment's)", "", "", true},
    {kS3Users, "etcd-s3-insecure", "s3-insecure", 0, kBool, "", "false",
     "Speak plain HTTP with the endpoint"},
    {kS3Users, "etcd-s3-timeout", "s3-timeout", 0, kDuration, "DURATION", "5m0s",
     "Give up when nothing moved for so long"},
    {kS3Users, "etcd-s3-bandwidth-limit", "s3-bandwidth-limit", 0, kText, "BYTES", "",
     "Bytes a second at most, as 500k, 20M or 1G (default: no limit)"},
    {kS3Writers, "etcd-s3-retention", "s3-retention", 0, kInteger, "N", "5",
     "Snapshots of this node that are kept in S3; below 1 all are (default if only the retention "
     "of the directory is set: the same)"},
    {kS3Writers, "etcd-s3-sse", "s3-sse", 0, kText, "AES256|aws:kms", "",
     "Encryption that the service is asked for (default: the bucket's)"},
    {kS3Writers, "etcd-s3-sse-kms-key-id", "s3-sse-kms-key-id", 0, kText, "ID", "",
     "With aws:kms: the key (default: the account's)"},
    {kS3Writers, "etcd-s3-storage-class", "s3-storage-class", 0, kText, "CLASS", "",
     "Storage class of the objects, as STANDARD_IA (default: the bucket's)"},
    {kS3Users, "etcd-s3-config-secret", "s3-config-secret", 0, kText, "NAME", "", "", "", "", false,
     true, kNoSecret},

    // --- accepted for RKE2's sake, without effect here ---
    {kServer, "supervisor-metrics", "", 0, kBool, "", "false", "", "", "", false, true},
    {kRestore, "initial-memory-map-size", "", 0, kText, "", "", "", "-", "", false, true},
    {kServer, "cluster-init", "", 0, kBool, "", "false", "", "", "", false, true},
});

// Steps to turn one word into the other: insert, remove, replace or swap neighbours (Damerau-Levenshtein, restricted).
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

bool Flag::HasName(std::string_view text) const {
  if (text == name || (letter != 0 && text == std::string_view(&letter, 1))) return true;
  for (const std::string& alias : Split(aliases, ' ')) {
    if (!alias.empty() && alias == text) return true;
  }
  return false;
}

std::string Flag::EnvironmentName(std::string_view prefix) const {
  if (OnlyOnCommandLine()) return {};
  std::string out(prefix);
  for (char c : env.empty() ? name : env) {
    out.push_back(c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return out;
}

std::span<const Flag> AllFlags() { return kFlags; }

const Flag* FindFlag(Command command, std::string_view name) {
  for (const Flag& flag : kFlags) {
    if ((flag.commands & command) != 0 && flag.HasName(name)) return &flag;
  }
  return nullptr;
}

bool IsKnownFlag(std::string_view name) {
  return std::any_of(kFlags.begin(), kFlags.end(),
                     [&](const Flag& flag) { return flag.HasName(name); });
}

std::string SuggestFlag(Command command, std::string_view name) {
  std::string best;
  std::size_t best_distance = name.size() / 4 + 2;  // what counts as a slip of the fingers
  for (const Flag& flag : kFlags) {
    if ((flag.commands & command) == 0 || flag.hidden) continue;
    for (const std::string& candidate :
         Split(std::string(flag.name) + " " + std::string(flag.aliases), ' ')) {
      const std::size_t distance =
          candidate.empty() ? best_distance : EditDistance(name, candidate);
      if (distance < best_distance) {
        best_distance = distance;
        best = candidate;
      }
    }
  }
  return best;
}

}  // namespace holdfast
