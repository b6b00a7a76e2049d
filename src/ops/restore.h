// `holdfast restore`: a snapshot becomes an etcd data directory, for any etcd (kubeadm, bare). With all options of
// `etcdutl snapshot restore`.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "formats/mvcc/inspect.h"
#include "ops/fetch_snapshot.h"
#include "os/file_system.h"

namespace holdfast {

struct RestoreRequest {
  std::string data_dir;
  std::string wal_dir;  // empty: in data_dir
  std::string name = "default";
  std::string initial_cluster = "default=http://localhost:2380";
  std::string initial_cluster_token = "etcd-cluster";
  std::string advertise_peer_urls = "http://localhost:2380";
  bool skip_hash_check = false;
  std::uint64_t bump_revision = 0;
  bool mark_compacted = false;
  bool clear_alarms = false;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
  std::stop_token stop;
};

// The data directory must not exist or be empty; it gets its content only when the snapshot is known to be good, and on an
// error nothing is left of it.
StatusOr<mvcc::Inspection> RestoreToDataDir(FileSystem& fs, const OpenedSnapshot& snapshot,
                                            const RestoreRequest& request);

}  // namespace holdfast
