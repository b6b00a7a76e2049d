// One pass over an etcd database that checks it and tells what is in it: what `snapshot status` prints, what a restore
// must know before anything is moved, and which tokens open the bootstrap data inside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "formats/bbolt/database.h"

namespace holdfast::mvcc {

struct Inspection {
  // As etcd counts at its start: of the last entry in the log, or of a compaction that left none behind it; 1 is the empty
  // store.
  std::int64_t revision = 1;
  std::int64_t compact_revision = 0;  // finished compaction; 0: never
  // Of all buckets: "total keys" as etcdctl 3.4 and etcdutl 3.5 count them.
  std::uint64_t total_entries = 0;
  std::uint64_t live_keys = 0;    // keys a client sees: "total keys" as etcdutl 3.6 counts them
  std::uint32_t status_hash = 0;  // the HASH of `etcdctl snapshot status`
  std::uint64_t bytes = 0;        // of the database, without digest
  std::string storage_version;    // "3.6.0"; empty before 3.6
  std::string cluster_version;    // "3.5.0"; may be empty
  std::uint64_t alarms = 0;       // raised when the snapshot was taken
  // The cluster's members when it was taken: their ids in hex, and JSON.
  std::map<std::string, std::string> members;
  // Keys whose last change is after InspectOptions::changes_since, by whether they are there now. What was deleted and
  // compacted since is not seen.
  std::uint64_t written_since = 0, deleted_since = 0;
  // Live keys /bootstrap/<token hash> with their values: RKE2's sealed bootstrap data. At most 100, of 1 MiB each.
  std::map<std::string, std::string> bootstrap;
};

struct InspectOptions {
  // Takes about 50 bytes of memory a key; without it live_keys stays 0.
  bool count_live_keys = true;
  bool status_hash = true;
  std::optional<std::int64_t> changes_since;  // a revision; takes memory for each key changed since
  std::stop_token stop;
};

// kDataLoss if the structure (bbolt/walk.h) or a log entry is broken, or there is no `key` bucket.
StatusOr<Inspection> Inspect(const bbolt::Database& database, const InspectOptions& options);

}  // namespace holdfast::mvcc
