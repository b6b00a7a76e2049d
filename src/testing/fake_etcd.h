// An etcd that answers with what a test puts here: a status, members, keys, and a snapshot stream that may break.
// For one thread at a time.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "etcd/client.h"

namespace holdfast::testing {

class FakeEtcd final : public etcd::Client {
 public:
  etcd::MemberStatus status{
      .version = "3.5.16", .cluster_id = 0xc1, .member_id = 0xa1, .leader = 0xa1, .revision = 3};
  std::string snapshot;                        // what streams: WithDigest(...)
  std::size_t piece = 1000;                    // bytes a Read gives at most
  std::size_t breaks_after = ~std::size_t{0};  // bytes, then `broken` instead of more
  Status broken = UnavailableError("the connection was lost");
  std::function<void()> before_read;  // may wait, or stop something

  StatusOr<etcd::MemberStatus> GetStatus() override {
    RETURN_IF_ERROR(Asked("status"));
    return status;
  }
  StatusOr<std::unique_ptr<etcd::SnapshotStream>> Snapshot(absl::Duration,
                                                           std::stop_token) override {
    committed = keys;
    return std::make_unique<Stream>(*this);
  }

  // --- members: what etcd would refuse for the others' sake a test must say with `refuse` ---

  StatusOr<std::vector<etcd::MemberInfo>> ListMembers() override {
    RETURN_IF_ERROR(Asked("member list"));
    return members;
  }
  Status UpdateMember(std::uint64_t id, const std::vector<std::string>& peer_urls) override {
    RETURN_IF_ERROR(Asked("member update"));
    ASSIGN_OR_RETURN(etcd::MemberInfo* const member, Find(id));
    member->peer_urls = peer_urls;
    return OkStatus();
  }
  StatusOr<etcd::AddedMember> AddLearner(const std::vector<std::string>& peer_urls) override {
    RETURN_IF_ERROR(Asked("member add"));
    for (const etcd::MemberInfo& member : members) {
      if (member.peer_urls == peer_urls)
        return FailedPreconditionError("etcd member add: etcdserver: Peer URLs already exists");
    }
    std::uint64_t id = 0xb1;
    for (const etcd::MemberInfo& member : members) id = std::max(id, member.id + 1);
    members.push_back(
        {.id = id, .name = "", .peer_urls = peer_urls, .client_urls = {}, .is_learner = true});
    return etcd::AddedMember{.id = id, .members = members};
  }
  Status PromoteMember(std::uint64_t id) override {
    RETURN_IF_ERROR(Asked("member promote"));
    ASSIGN_OR_RETURN(etcd::MemberInfo* const member, Find(id));
    if (!member->is_learner)
      return FailedPreconditionError(
          "etcd member promote: etcdserver: can only promote a learner member");
    member->is_learner = false;
    return OkStatus();
  }
  Status RemoveMember(std::uint64_t id) override {
    RETURN_IF_ERROR(Asked("member remove"));
    RETURN_IF_ERROR(Find(id).status());
    std::erase_if(members, [&](const etcd::MemberInfo& member) { return member.id == id; });
    return OkStatus();
  }
  Status MoveLeader(std::uint64_t to) override {
    RETURN_IF_ERROR(Asked("move leader"));
    if (status.leader != status.member_id)
      return FailedPreconditionError("etcd move leader: etcdserver: not leader");
    status.leader = to;
    return OkStatus();
  }

  // --- keys; each write is a revision of its own ---

  StatusOr<etcd::KeyRecord> Get(const std::string& key) override {
    RETURN_IF_ERROR(Asked("range"));
    const auto it = keys.find(key);
    if (it == keys.end()) return NotFoundError("etcd has no key {}", key);
    return it->second;
  }
  StatusOr<std::vector<etcd::KeyRecord>> GetPrefix(const std::string& prefix) override {
    RETURN_IF_ERROR(Asked("range"));
    std::vector<etcd::KeyRecord> found;
    for (const auto& [key, record] : keys) {
      if (key.starts_with(prefix)) found.push_back(record);
    }
    return found;
  }
  Status Put(const std::string& key, const std::string& value, etcd::LeaseId lease) override {
    RETURN_IF_ERROR(Asked("put"));
    if (lease != 0 && !leases.contains(lease))
      return NotFoundError("etcd put: etcdserver: requested lease not found");
    ++status.revision;
    keys[key] = {.key = key, .value = value, .mod_revision = status.revision};
    leased[key] = lease;
    return OkStatus();
  }
  Status Create(const std::string& key, const std::string& value) override {
    if (keys.contains(key)) return AlreadyExistsError("etcd has the key {} already", key);
    return Put(key, value, 0);
  }
  Status Delete(const std::string& key) override {
    RETURN_IF_ERROR(Asked("delete"));
    if (keys.erase(key) > 0) ++status.revision;
    return OkStatus();
  }
  // Knows only what is there now: a revision in the request is not looked at.
  StatusOr<etcd::ScanPage> Scan(const etcd::ScanRequest& request) override {
    RETURN_IF_ERROR(Asked("range"));
    etcd::ScanPage page{.revision = status.revision};
    for (auto it = keys.lower_bound(request.from); it != keys.end(); ++it) {
      ++page.count;
      page.more = request.limit > 0 && page.count > static_cast<std::uint64_t>(request.limit);
      if (page.more) continue;
      page.records.push_back(it->second);
      if (request.keys_only) page.records.back().value.clear();
    }
    return page;
  }
  Status Apply(const std::vector<etcd::KeyChange>& changes) override {
    RETURN_IF_ERROR(Asked("txn"));
    ++status.revision;
    for (const etcd::KeyChange& change : changes) {
      keys.erase(change.key);
      if (change.value) {
        keys[change.key] = {
            .key = change.key, .value = *change.value, .mod_revision = status.revision};
      }
    }
    transactions.push_back(changes.size());
    return OkStatus();
  }
  StatusOr<etcd::KeyHash> HashKeys(std::int64_t revision) override {
    RETURN_IF_ERROR(Asked("hash"));
    if (revision > status.revision) {
      return MakeStatus(StatusCode::kOutOfRange,
                        "etcd hash: etcdserver: mvcc: required revision is a future revision");
    }
    return key_hash;
  }
  StatusOr<etcd::LeaseId> GrantLease(absl::Duration ttl) override {
    RETURN_IF_ERROR(Asked("lease grant"));
    leases[++last_lease_] = ttl;
    return last_lease_;
  }
  Status KeepLeaseAlive(etcd::LeaseId lease) override {
    RETURN_IF_ERROR(Asked("lease keep-alive"));
    if (!leases.contains(lease)) return NotFoundError("etcd lease {:x} has ended", lease);
    return OkStatus();
  }
  // As if its time were over.
  void EndLease(etcd::LeaseId lease) {
    leases.erase(lease);
    std::erase_if(keys, [&](const auto& entry) { return leased[entry.first] == lease; });
  }

  std::vector<etcd::MemberInfo> members;
  std::map<std::string, etcd::KeyRecord> keys;
  std::map<std::string, etcd::KeyRecord> committed;  // what is in the database file
  std::map<etcd::LeaseId, absl::Duration> leases;
  std::map<std::string, etcd::LeaseId> leased;  // by key
  std::vector<std::size_t> transactions;        // sizes of what Apply got
  etcd::KeyHash key_hash;
  std::vector<etcd::Alarm> alarms;
  std::vector<std::string> calls;  // what was asked, in order, by the names of etcd/client.cc
  std::function<Status(std::string_view call)> refuse;

  StatusOr<std::vector<etcd::Alarm>> ListAlarms() override { return alarms; }
  Status DisarmAlarm(const etcd::Alarm&) override { return Unused(); }
  Status Defragment() override { return Unused(); }

 private:
  static Status Unused() { return UnimplementedError("the fake etcd does not do this"); }
  Status Asked(const char* call) {
    calls.emplace_back(call);
    return refuse ? refuse(call) : OkStatus();
  }
  StatusOr<etcd::MemberInfo*> Find(std::uint64_t id) {
    for (etcd::MemberInfo& member : members) {
      if (member.id == id) return &member;
    }
    return NotFoundError("etcdserver: member not found");
  }

  class Stream final : public etcd::SnapshotStream {
   public:
    explicit Stream(FakeEtcd& etcd) : etcd_(etcd) {}
    std::uint64_t bytes_total() const override { return etcd_.snapshot.size(); }
    StatusOr<std::size_t> Read(MutableByteSpan out) override {
      if (etcd_.before_read) etcd_.before_read();
      if (position_ >= etcd_.breaks_after) return etcd_.broken;
      const std::size_t n = std::min({out.size(), etcd_.piece, etcd_.snapshot.size() - position_,
                                      etcd_.breaks_after - position_});
      std::copy_n(BytesOf(etcd_.snapshot).begin() + static_cast<std::ptrdiff_t>(position_), n,
                  out.begin());
      position_ += n;
      return n;
    }

   private:
    FakeEtcd& etcd_;
    std::size_t position_ = 0;
  };

  etcd::LeaseId last_lease_ = 0;
};

}  // namespace holdfast::testing
