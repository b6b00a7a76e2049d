// What a server does about its cluster before its etcd starts: whether the data it has may be served at all (ops/fence.h),
// and how it becomes a member if it has none (ops/join.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/distribution.h"
#include "base/layout.h"
#include "keys/bootstrap.h"
#include "ops/fence.h"
#include "ops/join.h"

namespace holdfast {

// This server among others.
struct ClusterSetup {
  FileSystem& fs;
  Clock& clock;
  const Distribution& distribution;
  DataLayout layout;
  std::string node_name, node_address, version;
  std::string peer_url, client_url, supervisor_url;  // where others reach us
  std::string server_url;                            // --server; empty: none
  Secret token;  // as it was given: with its CA hash if it has one
  bool rejoin = false;
  ClusterConfig config;
  std::stop_token stop;
  std::function<std::unique_ptr<HttpClient>()> make_http = MakeHttpClient;
};

class ClusterEntry {
 public:
  // `setup` must outlive this.
  explicit ClusterEntry(const ClusterSetup& setup) : setup_(setup) {}

  // Looks at the data and asks the cluster. kPermissionDenied: the data must not be served; the hint says how to go on.
  // May move data aside: of a removed member, or with --rejoin, once the cluster at --server has answered. A crash in
  // between leaves no live data: the next start joins, or is refused without --server (kFailedPrecondition). `password`:
  // what other servers are asked with if there are data.
  Status Prepare(const Secret& password);

  // True after Prepare() if there are no data and the cluster at --server answered.
  bool joins() const { return joins_; }
  // The bootstrap data of the cluster at --server; nullopt if there is none, or it did not answer and need not.
  const std::optional<BootstrapData>& bootstrap() const { return bootstrap_; }

  // When this node's certificates are made: makes it a learner, and returns etcd's "initial-cluster".
  StatusOr<std::string> Join(const std::string& member_name);

 private:
  JoinRequest Request() const;
  Status LeaveTombstone();
  Status Rejoin(const OwnData& own);
  Status CheckFence(const OwnData& own, const Secret& password);
  Status Reconcile();
  Status Fetch();
  Status FetchToJoin();

  const ClusterSetup& setup_;
  bool joins_ = false;
  std::optional<JoinedCluster> cluster_;
  std::optional<BootstrapData> bootstrap_;
};

// What other servers of our cluster are asked with.
SupervisorAccess PeerAccess(const ClusterSetup& setup, const Secret& password);
// For etcd's client ports. The endpoint is not set.
StatusOr<etcd::ClientOptions> EtcdAccess(FileSystem& fs, const DataLayout& layout,
                                         absl::Duration timeout);

}  // namespace holdfast
