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
  // PEM texts; all empty without TLS.
  std::string ca_pem, certificate_pem;
  Secret key_pem;
  absl::Duration call_timeout = absl::Seconds(10);
};

struct MemberStatus {
  std::string version;
  std::uint64_t cluster_id = 0, member_id = 0, leader = 0;
  std::int64_t revision = 0;
  bool is_learner = false;
  std::vector<std::string> errors;
};

struct MemberInfo {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls, client_urls;
  bool is_learner = false;
};

struct Alarm {
  enum class Type { kNoSpace, kCorrupt, kOther };
  std::uint64_t member_id = 0;
  Type type = Type::kOther;
};

struct KeyRecord {
  std::string key, value;
  std::int64_t mod_revision = 0;
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
  virtual StatusOr<std::vector<Alarm>> ListAlarms() = 0;
  virtual Status DisarmAlarm(const Alarm& alarm) = 0;
  // Blocks that member; the deadline is ten minutes.
  virtual Status Defragment() = 0;

  // kNotFound if the key is not there.
  virtual StatusOr<KeyRecord> Get(const std::string& key) = 0;
  // All keys with this prefix, at most 1,000.
  virtual StatusOr<std::vector<KeyRecord>> GetPrefix(const std::string& prefix) = 0;
  virtual Status Put(const std::string& key, const std::string& value) = 0;
  // kAlreadyExists if the key is there.
  virtual Status Create(const std::string& key, const std::string& value) = 0;

  // Starts a snapshot of the member asked, and waits for its first message. Ends with kDeadlineExceeded when etcd sends
  // nothing for `stall_timeout`, and with kCancelled when `stop` is requested. The client must outlive the stream.
  virtual StatusOr<std::unique_ptr<SnapshotStream>> Snapshot(absl::Duration stall_timeout,
                                                             std::stop_token stop) = 0;
};

StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options);

}  // namespace holdfast::etcd
