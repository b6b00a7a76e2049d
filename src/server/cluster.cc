#include "server/cluster.h"

#include <pthread.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "etcd/health.h"
#include "identity/bootstrap_files.h"
#include "identity/certificates.h"
#include "ops/former_peers.h"
#include "ops/rotate_token.h"
#include "server/ask_servers.h"

namespace holdfast {
namespace {

constexpr absl::Duration kTick = absl::Seconds(2);
constexpr absl::Duration kFenceInterval = absl::Seconds(5);
constexpr absl::Duration kLearnerLogInterval = absl::Seconds(5);
constexpr absl::Duration kMemberCallTimeout = absl::Seconds(2), kChangeTimeout = absl::Minutes(1);
constexpr absl::Duration kChangeRetry = absl::Seconds(1), kElectionPatience = absl::Seconds(15);
// One answer of a server that lags behind is no proof.
constexpr int kRemovedVerdictsNeeded = 2;

// Why another server did not tell what it was asked.
std::string WhySilent(const Status& status) {
  return absl::IsUnauthenticated(status)
             ? MessageOf(status) + " (if the token was rotated, start it again with the new one)"
             : MessageOf(status);
}

}  // namespace

Cluster::Cluster(const ClusterSetup& setup, Random& random, EtcdKeeper& keeper,
                 TokenFileOptions tokens, Hooks hooks)
    : setup_(setup),
      random_(random),
      keeper_(keeper),
      hooks_(std::move(hooks)),
      tokens_(std::move(tokens)),
      fence_at_(setup.clock.Steady() + kFenceInterval),
      learner_log_at_(setup.clock.Steady()),
      thread_([this](const std::stop_token& stop) {
        ::pthread_setname_np(::pthread_self(), "membership");
        Run(stop);
      }) {}

// --- the thread ---

void Cluster::Run(const std::stop_token& stop) {
  while (setup_.clock.Sleep(kTick, stop)) {
    const absl::Duration now = setup_.clock.Steady();
    if (now >= fence_at_) {
      if (!CheckFence()) return;
      fence_at_ = setup_.clock.Steady() + kFenceInterval;
    }
    TakePart();
  }
}

bool Cluster::CheckFence() {
  std::vector<KnownServer> servers = ReadKnownServers(setup_.fs, setup_.layout);
  const bool listed = std::any_of(servers.begin(), servers.end(),
                                  [&](const KnownServer& s) { return s.url == setup_.server_url; });
  if (!setup_.server_url.empty() && setup_.server_url != setup_.supervisor_url && !listed)
    servers.push_back({"", setup_.server_url});
  if (servers.empty()) return true;
  const auto own = ReadOwnData(setup_.fs, setup_.layout);
  if (!own.ok() || !*own) return true;  // etcd says what is wrong with its files
  const std::vector<PeerAnswer> answers = AskForInfo(setup_, servers, Access());
  NoteSituation(answers);
  FenceVerdict verdict =
      JudgeAnswers(**own, answers, setup_.server_url, std::string(setup_.distribution.name));
  removed_verdicts_ = verdict.standing == Standing::kRemoved ? removed_verdicts_ + 1 : 0;
  if (verdict.refusal.ok()) return true;
  if (verdict.standing == Standing::kRemoved) {
    if (removed_verdicts_ < kRemovedVerdictsNeeded) return true;
    const auto tombstone = setup_.fs.OpenOrCreate(setup_.layout.tombstone(), 0600);
    if (!tombstone.ok()) LogError("{}", MessageOf(tombstone.status()));
  }
  hooks_.give_up(verdict.refusal);
  return false;
}

void Cluster::NoteSituation(const std::vector<PeerAnswer>& answers) {
  std::vector<std::string> missing;
  std::set<std::string> counted = {setup_.node_name};
  for (const PeerAnswer& answer : answers) {
    counted.insert(answer.info.ok() ? answer.info->node_name : answer.server.name);
    if (!answer.info.ok())
      missing.push_back(fmt::format(
          "{} ({})", answer.server.name.empty() ? answer.server.url : answer.server.name,
          MessageOf(answer.info.status())));
  }
  const std::size_t reached = answers.size() + 1 - missing.size();
  const bool healthy = keeper_.health().ok();
  // A member that has just joined may not be known to us as a server yet. etcd lists them without quorum too.
  if (const auto client = keeper_.client(); client.ok() && !healthy) {
    auto members = (*client)->ListMembers().value_or(std::vector<etcd::MemberInfo>());
    std::erase_if(members, [](const etcd::MemberInfo& m) { return m.is_learner; });
    for (const etcd::MemberInfo& m : members) {
      if (reached + missing.size() >= members.size()) break;  // --server may be any of them
      const std::string name = NodeNameOf(m);
      if (!counted.contains(name))
        missing.push_back(fmt::format("{} ({})", name, Join(m.peer_urls, ", ")));
    }
  }
  const std::size_t all = reached + missing.size();
  std::string text;
  if (reached < all / 2 + 1) {
    text = fmt::format("no quorum: {} of {} servers can be reached, {} are needed; missing: {}",
                       reached, all, all / 2 + 1, Join(missing, ", "));
  } else if (!missing.empty()) {
    text = fmt::format("{} of {} servers can be reached; missing: {}", reached, all,
                       Join(missing, ", "));
  }
  if (!healthy && !text.empty()) LogWarn("{}", text);
  const MutexLock lock(mutex_);
  situation_ = std::move(text);
}

std::string Cluster::Situation() const {
  const MutexLock lock(mutex_);
  return situation_;
}

void Cluster::TakePart() {
  const auto client = keeper_.client();
  if (!client.ok()) return;
  const auto status = (*client)->GetStatus();
  if (!status.ok() || status->leader == 0) return;
  const absl::Duration now = setup_.clock.Steady();
  if (status->is_learner) {
    if (now < learner_log_at_) return;
    learner_log_at_ = now + kLearnerLogInterval;
    LogInfo(
        "This server is a learner: it has {} raft entries and a database of {}; the leader "
        "promotes it when it has caught up",
        status->raft_applied_index, FormatBytes(status->db_bytes));
    return;
  }
  // Each time: what agents are told is as old as this, and one that knows a single server is lost with it.
  if (const Status kept = KeepOwnNode(**client, *status); !kept.ok())
    LogWarn("This node's record could not be brought up to date: {}", MessageOf(kept));
  if (status->leader != status->member_id) return;
  const auto members = (*client)->ListMembers();
  if (!members.ok()) return;
  const auto ask = [this](const etcd::MemberInfo& member) -> StatusOr<etcd::MemberStatus> {
    ASSIGN_OR_RETURN(const auto learner, ConnectTo(member));
    return learner->GetStatus();
  };
  TendLearners(**client, *members, ask, learners_, now);
}

Status Cluster::Register() {
  ASSIGN_OR_RETURN(const auto client, keeper_.client());
  ASSIGN_OR_RETURN(const etcd::MemberStatus status, client->GetStatus());
  return KeepOwnNode(*client, status);
}

Status Cluster::KeepOwnNode(etcd::Client& client, const etcd::MemberStatus& status) {
  ASSIGN_OR_RETURN(const auto members, client.ListMembers());
  const std::vector<std::string> peer_urls = {setup_.peer_url};
  for (const etcd::MemberInfo& member : members) {
    if (member.id != status.member_id || member.peer_urls == peer_urls) continue;
    LogInfo("This node's address has changed: its peer URL was {} and is {} now",
            Join(member.peer_urls, ", "), setup_.peer_url);
    RETURN_IF_ERROR(client.UpdateMember(member.id, peer_urls));
  }
  RETURN_IF_ERROR(RegisterNode(client, prefix(), OwnRecord()));
  // A lone server has nobody who could miss it, and its datastore stays as its users wrote it.
  if (members.size() > 1) RETURN_IF_ERROR(KeepNodeAlive(client, prefix(), setup_.node_name));
  ASSIGN_OR_RETURN(const auto servers, ReadServers(client, members));
  RETURN_IF_ERROR(NoteServers(servers, members));
  return WriteKnownServers(setup_.fs, setup_.layout, OthersOf(servers));
}

Status Cluster::NoteServers(std::vector<NodeRecord> servers,
                            const std::vector<etcd::MemberInfo>& members) {
  ASSIGN_OR_RETURN(const auto own, ReadOwnData(setup_.fs, setup_.layout));
  if (!own) return NotFoundError("there are no data in {}", setup_.layout.etcd());
  std::erase_if(servers, [&](const NodeRecord& server) {
    return MemberOfNode(members, server.name)->is_learner;
  });
  const MutexLock lock(mutex_);
  servers_ = {.cluster_id = own->cluster_id,
              .former_cluster_ids = own->former_cluster_ids,
              .servers = std::move(servers)};
  return OkStatus();
}

StatusOr<std::vector<NodeRecord>> Cluster::ReadServers(
    etcd::Client& client, const std::vector<etcd::MemberInfo>& members) {
  ASSIGN_OR_RETURN(const auto nodes, ReadNodes(client, prefix()));
  std::vector<NodeRecord> servers;
  for (const auto& [node, alive] : nodes) {
    // What a snapshot brought along from other hosts is no server of this cluster until it has a member.
    if (node.role == kServerRole && MemberOfNode(members, node.name) != nullptr)
      servers.push_back(node);
  }
  return servers;
}

std::vector<KnownServer> Cluster::OthersOf(const std::vector<NodeRecord>& servers) const {
  std::vector<KnownServer> others;
  for (const NodeRecord& server : servers) {
    if (server.name != setup_.node_name) others.push_back({server.name, server.supervisor_url});
  }
  return others;
}

std::vector<KnownServer> Cluster::OtherServersNow() {
  const auto ask = [&]() -> StatusOr<std::vector<KnownServer>> {
    RETURN_IF_ERROR(keeper_.health());
    ASSIGN_OR_RETURN(const auto client, keeper_.client());
    ASSIGN_OR_RETURN(const auto members, client->ListMembers());
    ASSIGN_OR_RETURN(const auto servers, ReadServers(*client, members));
    return OthersOf(servers);
  };
  auto servers = ask();
  return servers.ok() ? *std::move(servers) : ReadKnownServers(setup_.fs, setup_.layout);
}

// --- what is answered ---

NodeRecord Cluster::OwnRecord() const {
  return {.name = setup_.node_name,
          .role = kServerRole,
          .address = setup_.node_address,
          .supervisor_url = setup_.supervisor_url,
          .client_url = setup_.client_url,
          .version = setup_.version,
          .created = setup_.clock.Now()};
}

SupervisorAccess Cluster::Access() const {
  const MutexLock lock(mutex_);
  return PeerAccess(setup_, tokens_.password);
}

StatusOr<std::unique_ptr<etcd::Client>> Cluster::ConnectTo(const etcd::MemberInfo& member) const {
  if (member.client_urls.empty()) return UnavailableError("it has not started yet");
  ASSIGN_OR_RETURN(auto options, EtcdAccess(setup_.fs, setup_.layout, kMemberCallTimeout));
  const std::string& url = member.client_urls.front();
  const auto scheme_end = url.find("://");
  options.endpoint = scheme_end == std::string::npos ? url : url.substr(scheme_end + 3);
  return etcd::Connect(options);
}

StatusOr<ClusterInfo> Cluster::Info() {
  ClusterInfo info{.node_name = setup_.node_name};
  ASSIGN_OR_RETURN(const auto own, ReadOwnData(setup_.fs, setup_.layout));
  if (own) {
    info.cluster_id = own->cluster_id;
    info.former_cluster_ids = own->former_cluster_ids;
  }
  // Who is not healthy may know old members only: no answer is better than that one.
  const auto client = keeper_.client();
  if (!client.ok() || !keeper_.health().ok()) return info;
  ASSIGN_OR_RETURN(const auto members, (*client)->ListMembers());
  for (const etcd::MemberInfo& m : members)
    info.members.push_back({m.id, m.name, m.peer_urls, m.client_urls, m.is_learner});
  return info;
}

StatusOr<Secret> Cluster::Bootstrap() {
  ASSIGN_OR_RETURN(const BootstrapData files, CollectBootstrapFiles(setup_.fs, setup_.layout));
  return Secret(EncodeBootstrap(files));
}

void Cluster::AddPeersSnapshots(SnapshotListing& list) {
  const std::vector<KnownServer> servers = OtherServersNow();
  std::vector<StatusOr<std::string>> answers(servers.size(), UnavailableError("not asked"));
  AskServers(setup_, servers, Access(), [&](SupervisorClient& client, std::size_t i) {
    answers[i] =
        client.Snapshot({.operation = "list", .names = {}, .no_s3 = true, .local = true}, {});
  });
  for (std::size_t i = 0; i < servers.size(); ++i) {
    auto theirs = answers[i].ok() ? DecodeSnapshotList(*answers[i])
                                  : StatusOr<SnapshotListing>(answers[i].status());
    if (!theirs.ok()) {
      list.silent.push_back({servers[i].name, WhySilent(theirs.status())});
      continue;
    }
    for (SnapshotRecord& record : theirs->records) list.records.push_back(std::move(record));
  }
}

NodeStatus Cluster::Self() {
  NodeStatus self{.node = OwnRecord(), .last_snapshot = hooks_.last_snapshot()};
  self.node.created = absl::UnixEpoch();  // the datastore knows
  const Status ready = hooks_.ready();
  self.ready = ready.ok();
  self.reason = MessageOf(ready);
  std::replace(self.reason.begin(), self.reason.end(), '\n', ';');
  if (const auto own = ReadOwnData(setup_.fs, setup_.layout); own.ok() && *own) {
    self.cluster_id = (*own)->cluster_id;
    self.member_id = MemberIdText((*own)->member_id);
  }
  const auto client = keeper_.client();
  if (!client.ok()) return self;
  const auto status = (*client)->GetStatus();
  if (!status.ok()) return self;
  self.member_id = MemberIdText(status->member_id);
  self.is_learner = status->is_learner;
  self.is_leader = status->leader == status->member_id;
  self.db_bytes = status->db_bytes;
  self.revision = status->revision;
  return self;
}

StatusOr<ServerList> Cluster::Servers() {
  RETURN_IF_ERROR(hooks_.ready());
  const MutexLock lock(mutex_);
  if (servers_.servers.empty()) return UnavailableError("the servers are not known here yet");
  return servers_;
}

StatusOr<std::vector<NodeStatus>> Cluster::Nodes() {
  std::vector<RegisteredNode> known;
  std::vector<etcd::MemberInfo> members;
  Status lost = keeper_.health();
  if (const auto client = keeper_.client(); client.ok() && lost.ok()) {
    ASSIGN_OR_RETURN(known, ReadNodes(**client, prefix()));
    ASSIGN_OR_RETURN(members, (*client)->ListMembers());
  } else {
    // Without quorum: the servers we remember, and the members that etcd does.
    for (const KnownServer& server : ReadKnownServers(setup_.fs, setup_.layout))
      known.push_back(
          {{.name = server.name, .role = kServerRole, .supervisor_url = server.url}, false});
    if (auto remembered = client.ok() ? (*client)->ListMembers()
                                      : StatusOr<std::vector<etcd::MemberInfo>>(client.status());
        remembered.ok())
      members = *std::move(remembered);
  }
  const auto is_known = [&](const std::string& name) {
    return std::any_of(known.begin(), known.end(),
                       [&](const auto& n) { return n.node.name == name; });
  };
  if (!is_known(setup_.node_name)) {
    known.push_back({OwnRecord(), true});
    known.back().node.created = absl::UnixEpoch();  // the datastore knows
  }
  for (const etcd::MemberInfo& member : members) {
    const std::string name = NodeNameOf(member);
    if (!is_known(name))
      known.push_back(
          {{.name = name, .role = kServerRole, .address = Join(member.peer_urls, ",")}, false});
  }
  std::sort(known.begin(), known.end(),
            [](const auto& a, const auto& b) { return a.node.name < b.node.name; });

  std::vector<NodeStatus> out;
  std::vector<KnownServer> ask;
  for (const RegisteredNode& node : known) {
    NodeStatus row{.node = node.node, .ready = node.alive};
    bool is_member = true;
    if (!node.alive) row.reason = "it was not heard of lately";
    if (const auto* member = MemberOfNode(members, node.node.name)) {
      row.member_id = MemberIdText(member->id);
      row.is_learner = member->is_learner;
      if (member->name.empty()) row.reason = "it was added to the cluster and has not started yet";
    } else if (node.node.role == kServerRole && lost.ok()) {
      // Not asked: what a snapshot brought along may run, but in the cluster it was taken from.
      is_member = false;
      row.reason = "it is no member of the cluster";
    }
    if (row.node.role == kServerRole) row.ready = false;
    ask.push_back({node.node.name, is_member ? node.node.supervisor_url : ""});
    out.push_back(std::move(row));
  }
  std::vector<StatusOr<NodeStatus>> answers(ask.size(), UnavailableError("not asked"));
  std::vector<KnownServer> servers;
  std::vector<std::size_t> rows;
  std::string own_cluster;
  for (std::size_t i = 0; i < ask.size(); ++i) {
    if (ask[i].name == setup_.node_name) {
      answers[i] = Self();
      own_cluster = answers[i]->cluster_id;
    } else if (!ask[i].url.empty()) {
      servers.push_back(ask[i]);
      rows.push_back(i);
    }
  }
  AskServers(setup_, servers, Access(), [&](SupervisorClient& client, std::size_t i) {
    answers[rows[i]] = client.Node(setup_.distribution.name);
  });
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].node.role != kServerRole) continue;
    if (!answers[i].ok()) {
      if (out[i].reason.empty() || !ask[i].url.empty())
        out[i].reason = WhySilent(answers[i].status());
      continue;
    }
    TakeAnswer(out[i], *std::move(answers[i]), own_cluster);
  }
  return out;
}

Status Cluster::KeepAlive(const NodeRecord& agent) {
  RETURN_IF_ERROR(keeper_.health());
  ASSIGN_OR_RETURN(const auto client, keeper_.client());
  NodeRecord node = agent;
  node.created = setup_.clock.Now();
  RETURN_IF_ERROR(RegisterNode(*client, prefix(), std::move(node)));
  return KeepNodeAlive(*client, prefix(), agent.name);
}

StatusOr<ClientCertificate> Cluster::MakeClientCertificate(const std::string& node) {
  ASSIGN_OR_RETURN(const KeyPair ca,
                   ReadKeyPair(setup_.fs, JoinPath(setup_.layout.etcd_tls(), "server-ca")));
  ASSIGN_OR_RETURN(
      KeyPair pair,
      MakeLeaf(ca, {.common_name = fmt::format("{}-agent-{}", setup_.distribution.name, node),
                    .client_auth = true,
                    .now = setup_.clock.Now()}));
  LogInfo("Made a client certificate for the agent {}", node);
  return ClientCertificate{.certificate_pem = std::move(pair.certificate_pem),
                           .ca_pem = ca.certificate_pem,
                           .key_pem = std::move(pair.key_pem)};
}

Status Cluster::RotateToken(const Secret& token) {
  const std::unique_lock one(one_change_, std::try_to_lock);
  if (!one.owns_lock()) return AbortedError("another change of the cluster goes on here");
  RETURN_IF_ERROR(keeper_.health());
  ASSIGN_OR_RETURN(const auto client, keeper_.client());
  TokenFileOptions tokens;
  {
    const MutexLock lock(mutex_);
    tokens = tokens_;
  }
  ASSIGN_OR_RETURN(const Secret password, holdfast::RotateToken(setup_.fs, setup_.layout, random_,
                                                                *client, tokens, token));
  {
    const MutexLock lock(mutex_);
    tokens_.password = password;
  }
  hooks_.on_new_token(password);
  return OkStatus();
}

// --- removal ---

std::vector<MemberHealth> Cluster::HealthOf(const std::vector<etcd::MemberInfo>& members) const {
  std::vector<MemberHealth> out(members.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < members.size(); ++i) {
      out[i].member = members[i];
      threads.emplace_back([&, i] {
        const auto client = ConnectTo(members[i]);
        if (!client.ok()) return;
        const auto status = (*client)->GetStatus();
        out[i].healthy = status.ok() && status->leader != 0;
      });
    }
  }
  return out;
}

Status Cluster::MoveLeadership(const std::vector<MemberHealth>& members,
                               const etcd::MemberInfo& from) {
  ASSIGN_OR_RETURN(const auto client, ConnectTo(from));
  const auto status = client->GetStatus();
  if (!status.ok() || status->leader != from.id) return OkStatus();  // not the leader
  for (const MemberHealth& m : members) {
    if (m.member.id == from.id || m.member.is_learner || !m.healthy) continue;
    LogInfo("Moving the leadership from {} to {}", from.name, m.member.name);
    return client->MoveLeader(m.member.id);
  }
  return FailedPreconditionError("no healthy voter can take over the leadership of {}", from.name);
}

Status Cluster::RemoveMember(const std::vector<MemberHealth>& members,
                             const etcd::MemberInfo& target) {
  std::vector<std::string> others;
  for (const MemberHealth& m : members) {
    if (m.member.id != target.id && !m.member.is_learner && m.healthy)
      others.insert(others.end(), m.member.client_urls.begin(), m.member.client_urls.end());
  }
  const Deadline deadline(setup_.clock, kChangeTimeout);
  while (true) {
    Status removed = MoveLeadership(members, target);
    if (absl::IsUnavailable(removed) || absl::IsDeadlineExceeded(removed)) removed = OkStatus();
    if (removed.ok()) {
      ASSIGN_OR_RETURN(const auto options, EtcdAccess(setup_.fs, setup_.layout, kChangeTimeout));
      const auto client = etcd::ConnectToHealthy(options, others);
      removed = client.status();
      if (removed.ok()) removed = (*client)->RemoveMember(target.id);
      if (removed.ok() || etcd::RefusalOf(removed) == etcd::Refusal::kUnknownMember)
        return client.ok() ? ForgetNode(**client, prefix(), NodeNameOf(target)) : OkStatus();
    }
    if (!etcd::MayPass(removed) || deadline.passed())
      return Annotate(removed, fmt::format("remove {}", target.name));
    LogInfo("Waiting to remove {}: {}", target.name, MessageOf(removed));
    if (!setup_.clock.Sleep(kChangeRetry, setup_.stop)) return CancelledError("stopped");
  }
}

Status Cluster::RemoveNode(const NodeRemoval& removal) {
  const std::unique_lock one(one_change_, std::try_to_lock);
  if (!one.owns_lock()) return AbortedError("another change of the cluster goes on here");
  const auto read = [&]() -> StatusOr<std::vector<RegisteredNode>> {
    RETURN_IF_ERROR(keeper_.health(), "this server cannot change the cluster now");
    ASSIGN_OR_RETURN(const auto client, keeper_.client());
    return ReadNodes(*client, prefix());
  };
  auto nodes = read();
  // Who is to be removed has often just died, perhaps as the leader: an election ends by itself.
  const Deadline election(setup_.clock, kElectionPatience);
  while (etcd::MayPass(nodes.status()) && !election.passed() &&
         setup_.clock.Sleep(kChangeRetry, setup_.stop))
    nodes = read();
  RETURN_IF_ERROR(nodes.status());
  ASSIGN_OR_RETURN(const auto client, keeper_.client());
  ASSIGN_OR_RETURN(const auto members, client->ListMembers());
  const std::vector<MemberHealth> health = HealthOf(members);
  const bool registered = std::any_of(nodes->begin(), nodes->end(), [&](const RegisteredNode& n) {
    return n.node.name == removal.name;
  });
  RETURN_IF_ERROR(MayRemove(removal.name, health, registered, removal.force));
  const etcd::MemberInfo* target = MemberOfNode(members, removal.name);
  if (target == nullptr) {
    RETURN_IF_ERROR(ForgetNode(*client, prefix(), removal.name));
  } else {
    RETURN_IF_ERROR(RemoveMember(health, *target));
  }
  LogInfo("Node {} was removed from the cluster", removal.name);
  return OkStatus();
}

}  // namespace holdfast
