// The door to a living etcd: the few calls we make, each with a deadline. The generated gRPC code stays in client.cc.
// Errors: kUnavailable and kDeadlineExceeded when it cannot be reached in time; otherwise etcd's own code and words.
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"
#include "stream/stream.h"

namespace holdfast::etcd {

struct ClientOptions {
  std::string endpoint;  // "127.0.0.1:2379"
  bool tls = true;
  // PEM texts; all empty without TLS. No CA: gRPC's own list.
  std::string ca_pem, certificate_pem;
  Secret key_pem;
  // Of etcd's own users; the first call asks for a token, and so does one that is told that its token ran out. An etcd
  // without authentication is not asked twice.
  std::string user;
  Secret password;
  absl::Duration call_timeout = absl::Seconds(10);
};

struct MemberStatus {
  std::string version;
  std::uint64_t cluster_id = 0, member_id = 0, leader = 0;
  std::int64_t revision = 0;
  std::uint64_t db_bytes = 0, db_bytes_in_use = 0;  // of the file, and without its free pages
  // The last raft entry it knows, and the last one its database has: their distance to the leader's is how far it lags.
  std::uint64_t raft_index = 0, raft_applied_index = 0, raft_term = 0;
  bool is_learner = false;
  std::vector<std::string> errors;
};

struct MemberInfo {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls, client_urls;
  bool is_learner = false;
};

struct AddedMember {
  std::uint64_t id = 0;
  std::vector<MemberInfo> members;  // all, the new one (which has no name yet) among them
};

struct Alarm {
  enum class Type { kNoSpace, kCorrupt, kOther };
  std::uint64_t member_id = 0;
  Type type = Type::kOther;
};

using LeaseId = std::int64_t;

struct KeyRecord {
  std::string key, value;
  std::int64_t mod_revision = 0, create_revision = 0;
  LeaseId lease = 0;
};

// Keys in their order, some at a time.
struct ScanRequest {
  std::string from;           // the first key that may come; empty: of all
  std::int64_t revision = 0;  // 0: now
  std::int64_t limit = 0;     // of keys; fewer come if they would be too much for one message
  bool keys_only = false;
  bool serializable = false;  // by what this member has, without asking the others
};
struct ScanPage {
  std::vector<KeyRecord> records;
  bool more = false;
  std::uint64_t count = 0;    // of all keys from `from` on
  std::int64_t revision = 0;  // that was read
};

struct KeyChange {
  std::string key;
  std::optional<std::string> value;  // none: delete it
};
// What etcd takes at most in one transaction, unless it was told otherwise (--max-txn-ops, --max-request-bytes).
inline constexpr std::size_t kTransactionChangesMax = 128;
inline constexpr std::size_t kTransactionBytesMax = 1536 * kKiB;

// Of all versions of all keys from the compact revision up to one revision. Comparable if the compact revisions are equal.
struct KeyHash {
  std::uint32_t hash = 0;
  std::int64_t compact_revision = 0;
};

// The stream of the Snapshot RPC: the database and, in the last 32 bytes, its digest.
class SnapshotStream : public Source {
 public:
  // Size of the whole stream, digest included. Known from the first message on, which Client::Snapshot waits for.
  virtual std::uint64_t bytes_total() const = 0;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual StatusOr<MemberStatus> GetStatus() = 0;
  virtual StatusOr<std::vector<MemberInfo>> ListMembers() = 0;
  virtual Status UpdateMember(std::uint64_t id, const std::vector<std::string>& peer_urls) = 0;
  // A member that gets the data but has no vote. Ask RefusalOf() why not.
  virtual StatusOr<AddedMember> AddLearner(const std::vector<std::string>& peer_urls) = 0;
  // The learner becomes a voter.
  virtual Status PromoteMember(std::uint64_t id) = 0;
  virtual Status RemoveMember(std::uint64_t id) = 0;
  // Only the leader can give its office to another voter.
  virtual Status MoveLeader(std::uint64_t to) = 0;
  virtual StatusOr<std::vector<Alarm>> ListAlarms() = 0;
  virtual Status DisarmAlarm(const Alarm& alarm) = 0;
  // Blocks that member; the deadline is ten minutes.
  virtual Status Defragment() = 0;

  // kNotFound if the key is not there.
  virtual StatusOr<KeyRecord> Get(const std::string& key) = 0;
  // All keys with this prefix, at most 1,000.
  virtual StatusOr<std::vector<KeyRecord>> GetPrefix(const std::string& prefix) = 0;
  // With a lease the key goes when the lease ends; kNotFound if it has ended.
  virtual Status Put(const std::string& key, const std::string& value, LeaseId lease = 0) = 0;
  // Fine if the key is not there.
  virtual Status Delete(const std::string& key) = 0;
  // kAlreadyExists if the key is there.
  virtual Status Create(const std::string& key, const std::string& value) = 0;

  // kOutOfRange: that revision is compacted. Keys of which none fits into a message: kResourceExhausted.
  virtual StatusOr<ScanPage> Scan(const ScanRequest& request) = 0;
  // All at once or not at all; no key twice.
  virtual Status Apply(const std::vector<KeyChange>& changes) = 0;
  // Reads the whole database of that member; the deadline is two minutes. kOutOfRange: it has not come to that revision, or
  // compacted it away. Needs the role root.
  virtual StatusOr<KeyHash> HashKeys(std::int64_t revision) = 0;

  // To the second; etcd may make it longer (no shorter than its election takes).
  virtual StatusOr<LeaseId> GrantLease(absl::Duration ttl) = 0;
  // Its time begins anew. kNotFound: it has ended, and its keys are gone.
  virtual Status KeepLeaseAlive(LeaseId lease) = 0;

  // Starts a snapshot of the member asked, and waits for its first message. Ends with kDeadlineExceeded when etcd sends
  // nothing for `stall_timeout`, and with kCancelled when `stop` is requested. The client must outlive the stream.
  virtual StatusOr<std::unique_ptr<SnapshotStream>> Snapshot(absl::Duration stall_timeout,
                                                             std::stop_token stop) = 0;
};

StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options);

// Why etcd would not change its membership, where a caller goes on differently. The codes do not tell: etcd uses two for
// all of them, and not the same ones in every version, so its words are looked at.
// Source: etcd api/v3rpc/rpctypes/error.go (v3.4 to v3.6).
enum class Refusal {
  kOther,             // no refusal of these, or no error
  kLearnerNotInSync,  // not promoted yet
  kNotALearner,       // promoted already
  kTooManyLearners,   // one at a time, until etcd is told otherwise
  kUnhealthyCluster,  // members are not connected, or were not for five seconds
  kTooFewStarted,  // the change would leave too few started members for a quorum (or none at all)
  kPeerUrlExists,  // a member has that peer URL already
  kUnknownMember,  // it was removed
  kNotLeader,      // asked the wrong member
  kIsLearner,      // asked a learner
};
Refusal RefusalOf(const Status& status);

// Worth asking again in a while: it did not answer, has no leader, or refused for a reason that passes.
bool MayPass(const Status& status);

}  // namespace holdfast::etcd
