// `server --cluster-reset`, with or without --cluster-reset-restore-path: this node becomes the only member of the cluster,
// with the data it has, or with those of a snapshot.
//
// A snapshot in S3 is brought here first. Everything is verified before anything live is touched: the snapshot's digest and
// structure, that the token opens the bootstrap data in it, the space. Without a snapshot the data are copied first, and an
// etcd that forgets its peers (force-new-cluster) brings the copy to the end of its log. From either a directory is built
// whose cluster id nobody ever had: members with the old data cannot talk to it, and their ids are remembered
// (identity/lineage.h). It is swapped in (restore/swap_dir.h), the certificates are made those of the data, etcd is started
// on loopback only and must come up
// healthy as the only member. If it does not, the old data and certificates are put back. What a crash leaves is put in
// order by the next start.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/layout.h"
#include "base/random.h"
#include "etcd/running_server.h"
#include "formats/member/membership.h"
#include "ops/fetch_snapshot.h"
#include "ops/server_files.h"

namespace holdfast {

struct ResetRequest {
  DataLayout layout;
  std::string node_name;
  ServerFilesOptions files;  // tokens.password: empty if none is known
  etcd::RunOptions etcd;     // name and the switches of a reset are set here

  std::optional<FetchRequest> snapshot;  // none: keep the data
  std::uint64_t bump_revision = 0;
  bool mark_compacted = false;

  ProgressFunction on_progress;
  std::stop_token stop;
};

// What the success is announced with; RKE2's words.
inline constexpr char kResetDone[] =
    "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. "
    "Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes";

struct ResetReport {
  std::vector<Member>
      peers;  // who else was in the cluster, as far as the data knew (ops/former_peers.h)
};

// The data directory must be locked by the caller, and no etcd may run in it.
StatusOr<ResetReport> ResetCluster(FileSystem& fs, Clock& clock, Random& random,
                                   const ResetRequest& request);

}  // namespace holdfast
