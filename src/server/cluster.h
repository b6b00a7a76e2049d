// This server as one of a cluster, while it runs: what it answers about the cluster, and its part in keeping it in order.
//
// A thread of its own, "membership", looks every few seconds:
//   fence      asks the servers it knows whether our data are still the cluster's (ops/fence.h); if not, etcd is stopped
//   node       keeps our record, our lease and our peer URL up to date, and the list of servers that agents are told
//   leader     promotes learners, removes stuck ones (ops/learners.h)
// and, while etcd is not healthy, how many servers can be reached, so that a missing quorum is called by its name.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "api/cluster_routes.h"
#include "base/mutex.h"
#include "base/random.h"
#include "identity/token_files.h"
#include "ops/fence.h"
#include "ops/learners.h"
#include "ops/nodes.h"
#include "server/cluster_entry.h"
#include "server/etcd_keeper.h"

namespace holdfast {

class Cluster final : public ClusterBackend {
 public:
  struct Hooks {
    std::function<Status()> ready;
    std::function<std::optional<absl::Time>()> last_snapshot;
    // The data must not be served (any more); once.
    std::function<void(const Status& why)> give_up;
    // The token in force is another now.
    std::function<void(const Secret& password)> on_new_token;
  };

  // Starts the thread. All must outlive this.
  Cluster(const ClusterSetup& setup, Random& random, EtcdKeeper& keeper, TokenFileOptions tokens,
          Hooks hooks);

  // Once etcd is healthy: this node stands in the datastore, and knows the other servers. The thread keeps it so.
  Status Register();

  // While etcd is not healthy: how many servers can be reached, and why not the others. Empty if that is no news.
  std::string Situation() const;

  // Those in the other servers' directories, and which servers did not tell.
  void AddPeersSnapshots(SnapshotListing& list);

  StatusOr<ClusterInfo> Info() override;
  StatusOr<Secret> Bootstrap() override;
  ClusterConfig Config() override { return setup_.config; }
  NodeStatus Self() override;
  StatusOr<std::vector<NodeStatus>> Nodes() override;
  // As the thread saw them last, two seconds ago. kUnavailable: this server is not ready.
  StatusOr<ServerList> Servers() override;
  Status KeepAlive(const NodeRecord& agent) override;
  Status RemoveNode(const NodeRemoval& removal) override;
  StatusOr<ClientCertificate> MakeClientCertificate(const std::string& node) override;
  Status RotateToken(const Secret& token) override;

 private:
  void Run(const std::stop_token& stop);
  // False if the data must not be served.
  bool CheckFence();
  void TakePart();
  Status KeepOwnNode(etcd::Client& client, const etcd::MemberStatus& status);
  // Those that have a record and a member. The second: without this one, and as it was when the datastore last told.
  StatusOr<std::vector<NodeRecord>> ReadServers(etcd::Client& client,
                                                const std::vector<etcd::MemberInfo>& members);
  Status NoteServers(std::vector<NodeRecord> servers, const std::vector<etcd::MemberInfo>& members);
  std::vector<KnownServer> OthersOf(const std::vector<NodeRecord>& servers) const;
  std::vector<KnownServer> OtherServersNow();
  void NoteSituation(const std::vector<PeerAnswer>& answers);

  NodeRecord OwnRecord() const;
  SupervisorAccess Access() const;
  std::string prefix() const { return std::string(setup_.distribution.etcd_key_prefix); }
  StatusOr<std::unique_ptr<etcd::Client>> ConnectTo(const etcd::MemberInfo& member) const;
  std::vector<MemberHealth> HealthOf(const std::vector<etcd::MemberInfo>& members) const;
  Status MoveLeadership(const std::vector<MemberHealth>& members, const etcd::MemberInfo& from);
  Status RemoveMember(const std::vector<MemberHealth>& members, const etcd::MemberInfo& target);

  const ClusterSetup& setup_;
  Random& random_;
  EtcdKeeper& keeper_;
  const Hooks hooks_;

  mutable Mutex mutex_;
  TokenFileOptions tokens_ HF_GUARDED_BY(mutex_);
  std::string situation_ HF_GUARDED_BY(mutex_);
  ServerList servers_ HF_GUARDED_BY(mutex_);  // empty: not known yet
  Mutex one_change_;  // held by the one change of members or token that goes on

  // Of the thread.
  LearnerWatch learners_;
  int removed_verdicts_ = 0;
  absl::Duration fence_at_, learner_log_at_;

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace holdfast
