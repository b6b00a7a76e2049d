#include "etcd/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "base/mutex.h"
#include "base/text.h"
#include "proto/etcd.grpc.pb.h"

namespace holdfast::etcd {
namespace {

namespace pb = ::etcdserverpb;

// Of calls that read or write the whole database.
constexpr absl::Duration kDefragmentTimeout = absl::Minutes(10), kHashTimeout = absl::Minutes(2);
// A snapshot's messages are 32 KiB; a range of bootstrap keys some 100 kB.
constexpr int kMessageBytesMax = 16 << 20;
constexpr std::int64_t kPrefixKeysMax = 1000;

template <typename Members>
std::vector<MemberInfo> MembersFrom(const Members& members) {
  std::vector<MemberInfo> out;
  for (const pb::Member& m : members) {
    out.push_back({.id = m.id(),
                   .name = m.name(),
                   .peer_urls = {m.peerurls().begin(), m.peerurls().end()},
                   .client_urls = {m.clienturls().begin(), m.clienturls().end()},
                   .is_learner = m.islearner()});
  }
  return out;
}

std::vector<KeyRecord> RecordsFrom(const pb::RangeResponse& reply) {
  std::vector<KeyRecord> out;
  for (const pb::KeyValue& kv : reply.kvs()) {
    out.push_back({.key = kv.key(),
                   .value = kv.value(),
                   .mod_revision = kv.mod_revision(),
                   .create_revision = kv.create_revision(),
                   .lease = kv.lease()});
  }
  return out;
}

// What etcd says while it has no leader that answers. Some calls (Alarm) give that with no code but "unknown".
// Source: etcd server/etcdserver/errors/errors.go, api/v3rpc/util.go (togRPCError).
bool SaysThatNobodyLeads(std::string_view message) {
  return message.starts_with("etcdserver: request timed out") ||
         message == "etcdserver: no leader" || message == "etcdserver: leader changed" ||
         message == "etcdserver: server stopped";
}

// gRPC's words for a call that ended without a status, as one does whose etcd is being stopped.
bool SaysThatItWasCutOff(std::string_view message) {
  return message == "No status received" || message == "Stream removed";
}

Status FromGrpc(const grpc::Status& status, std::string_view call) {
  if (status.ok()) return OkStatus();
  // gRPC's codes are abseil's.
  auto code = static_cast<StatusCode>(status.error_code());
  const std::string message = status.error_message();
  if (code == StatusCode::kUnknown &&
      (SaysThatNobodyLeads(message) || SaysThatItWasCutOff(message)))
    code = StatusCode::kUnavailable;
  return MakeStatus(code, fmt::format("etcd {}: {}", call, message));
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    if (static_cast<unsigned char>(prefix.back()) < 0xff) {
      prefix.back() = static_cast<char>(prefix.back() + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return std::string(1, '\0');
}

// Cancels a call when `stop` is requested, or when no progress was reported for a while.
class Watchdog {
 public:
  Watchdog(grpc::ClientContext& context, absl::Duration stall_timeout, std::stop_token stop)
      : context_(context),
        limit_(absl::ToChronoMilliseconds(stall_timeout)),
        on_stop_(std::move(stop), [this] { context_.TryCancel(); }),
        thread_([this](std::stop_token end) { Run(std::move(end)); }) {}

  // Time counts only between these two: a slow disk on our side is not etcd's fault.
  void Begin() {
    const MutexLock lock(mutex_);
    waiting_since_ = std::chrono::steady_clock::now();
  }
  void End() {
    const MutexLock lock(mutex_);
    waiting_since_.reset();
  }
  bool expired() const { return expired_; }

 private:
  void Run(std::stop_token end) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    const auto step = std::clamp<std::chrono::milliseconds>(
        limit_ / 4, std::chrono::milliseconds(10), std::chrono::seconds(1));
    while (!wake.wait_for(lock, end, step, [&] { return end.stop_requested(); })) {
      const MutexLock guard(mutex_);
      if (waiting_since_ && std::chrono::steady_clock::now() - *waiting_since_ > limit_) {
        expired_ = true;
        context_.TryCancel();
      }
    }
  }

  grpc::ClientContext& context_;
  const std::chrono::milliseconds limit_;
  Mutex mutex_;
  std::optional<std::chrono::steady_clock::time_point> waiting_since_ HF_GUARDED_BY(mutex_);
  std::atomic<bool> expired_ = false;
  std::stop_callback<std::function<void()>> on_stop_;
  std::jthread thread_;
};

// A call's ticket: etcd's token for a user, got when the first call needs it.
// Source: etcd api/v3rpc/rpctypes (metadata "token", and the words of its refusals), client/v3/client.go.
class Login {
 public:
  Login(const std::shared_ptr<grpc::Channel>& channel, const ClientOptions& options)
      : auth_(pb::Auth::NewStub(channel)),
        user_(options.user),
        password_(options.password),
        timeout_(options.call_timeout) {}

  Status Attach(grpc::ClientContext& context) {
    if (user_.empty()) return OkStatus();
    const MutexLock lock(mutex_);
    if (!asked_) RETURN_IF_ERROR(Ask());
    asked_ = true;
    if (!token_.empty()) context.AddMetadata("token", token_);
    return OkStatus();
  }

  // True if another token may help; the next Attach() gets it.
  bool Renew(const Status& status) {
    if (user_.empty() || status.ok()) return false;
    const std::string words = MessageOf(status);
    if (words.find("invalid auth token") == std::string::npos &&
        words.find("revision of auth store is old") == std::string::npos) {
      return false;
    }
    const MutexLock lock(mutex_);
    asked_ = false;
    return true;
  }

 private:
  Status Ask() HF_REQUIRES(mutex_) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout_));
    pb::AuthenticateRequest request;
    request.set_name(user_);
    request.set_password(password_.reveal());
    pb::AuthenticateResponse reply;
    const grpc::Status status = auth_->Authenticate(&context, request, &reply);
    token_.clear();
    if (status.error_message().find("authentication is not enabled") != std::string::npos)
      return OkStatus();
    RETURN_IF_ERROR(FromGrpc(status, "authenticate"));
    token_ = reply.token();
    return OkStatus();
  }

  const std::unique_ptr<pb::Auth::Stub> auth_;
  const std::string user_;
  const Secret password_;
  const absl::Duration timeout_;
  Mutex mutex_;
  bool asked_ HF_GUARDED_BY(mutex_) = false;
  std::string token_ HF_GUARDED_BY(mutex_);
};

class GrpcSnapshotStream final : public SnapshotStream {
 public:
  GrpcSnapshotStream(pb::Maintenance::Stub& stub, absl::Duration stall_timeout,
                     std::stop_token stop)
      : stall_timeout_(stall_timeout),
        stop_(stop),
        stub_(stub),
        watchdog_(context_, stall_timeout, stop) {}

  ~GrpcSnapshotStream() override {
    if (reader_ && !ended_) {
      context_.TryCancel();
      (void)reader_->Finish();
    }
  }

  Status Begin(Login& login) {
    RETURN_IF_ERROR(login.Attach(context_));
    reader_ = stub_.Snapshot(&context_, pb::SnapshotRequest());
    RETURN_IF_ERROR(NextMessage());
    total_ = message_.blob().size() + message_.remaining_bytes() + kDigestBytes;
    return OkStatus();
  }

  std::uint64_t bytes_total() const override { return total_; }

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    while (position_ == message_.blob().size()) {
      if (ended_) return 0;
      RETURN_IF_ERROR(NextMessage());
    }
    const std::size_t n = std::min(out.size(), message_.blob().size() - position_);
    std::memcpy(out.data(), message_.blob().data() + position_, n);
    position_ += n;
    return n;
  }

 private:
  static constexpr std::uint64_t kDigestBytes = 32;

  // Reads the next message into message_; at the end of the stream message_ is empty and ended_ set.
  Status NextMessage() {
    position_ = 0;
    watchdog_.Begin();
    const bool read = reader_->Read(&message_);
    watchdog_.End();
    if (!read) {
      message_.Clear();
      ended_ = true;
      const grpc::Status status = reader_->Finish();
      if (watchdog_.expired()) {
        return DeadlineExceededError("etcd snapshot: etcd sent nothing for {}",
                                     FormatGoDuration(stall_timeout_));
      }
      if (stop_.stop_requested()) return CancelledError("etcd snapshot: stopped");
      RETURN_IF_ERROR(FromGrpc(status, "snapshot"));
      if (!digest_came_) return DataLossError("etcd snapshot: the stream ended early");
      return OkStatus();
    }
    // The database in pieces, each with what remains after it; when nothing remains, the digest. A server that cannot read
    // its own file sends empty pieces with the same remainder for ever.
    const std::uint64_t bytes = message_.blob().size(), remaining = message_.remaining_bytes();
    const bool digest_due = remaining_ && *remaining_ == 0;
    const bool good = digest_due ? bytes == kDigestBytes && remaining == 0 && !digest_came_
                                 : bytes > 0 && (!remaining_ || *remaining_ == bytes + remaining);
    if (!good) {
      context_.TryCancel();
      return DataLossError(
          "etcd snapshot: etcd sent {} bytes and says {} remain; it may be unable to read its "
          "database",
          bytes, remaining);
    }
    digest_came_ = digest_due;
    remaining_ = remaining;
    return OkStatus();
  }

  const absl::Duration stall_timeout_;
  const std::stop_token stop_;
  grpc::ClientContext context_;
  pb::Maintenance::Stub& stub_;
  Watchdog watchdog_;
  std::unique_ptr<grpc::ClientReader<pb::SnapshotResponse>> reader_;
  pb::SnapshotResponse message_;
  std::size_t position_ = 0;
  std::uint64_t total_ = 0;
  std::optional<std::uint64_t> remaining_;  // of the database, after the last message
  bool digest_came_ = false;
  bool ended_ = false;
};

class GrpcClient final : public Client {
 public:
  GrpcClient(std::shared_ptr<grpc::Channel> channel, const ClientOptions& options)
      : login_(channel, options),
        kv_(pb::KV::NewStub(channel)),
        lease_(pb::Lease::NewStub(channel)),
        cluster_(pb::Cluster::NewStub(channel)),
        maintenance_(pb::Maintenance::NewStub(channel)),
        timeout_(options.call_timeout) {}

  StatusOr<MemberStatus> GetStatus() override {
    pb::StatusResponse reply;
    RETURN_IF_ERROR(
        Call(*maintenance_, &pb::Maintenance::Stub::Status, pb::StatusRequest(), reply, "status"));
    MemberStatus out{.version = reply.version(),
                     .cluster_id = reply.header().cluster_id(),
                     .member_id = reply.header().member_id(),
                     .leader = reply.leader(),
                     .revision = reply.header().revision(),
                     .db_bytes = static_cast<std::uint64_t>(reply.dbsize()),
                     .db_bytes_in_use = static_cast<std::uint64_t>(reply.dbsizeinuse()),
                     .raft_index = reply.raftindex(),
                     .raft_applied_index = reply.raftappliedindex(),
                     .raft_term = reply.raftterm(),
                     .is_learner = reply.islearner(),
                     .errors = {reply.errors().begin(), reply.errors().end()}};
    return out;
  }

  StatusOr<std::vector<MemberInfo>> ListMembers() override {
    pb::MemberListResponse reply;
    // Linearizable is 3.5's default and unknown to 3.4, which always asks its own store.
    RETURN_IF_ERROR(Call(*cluster_, &pb::Cluster::Stub::MemberList, pb::MemberListRequest(), reply,
                         "member list"));
    return MembersFrom(reply.members());
  }

  Status UpdateMember(std::uint64_t id, const std::vector<std::string>& peer_urls) override {
    pb::MemberUpdateRequest request;
    request.set_id(id);
    for (const std::string& url : peer_urls) request.add_peerurls(url);
    pb::MemberUpdateResponse reply;
    return Call(*cluster_, &pb::Cluster::Stub::MemberUpdate, request, reply, "member update");
  }

  StatusOr<AddedMember> AddLearner(const std::vector<std::string>& peer_urls) override {
    pb::MemberAddRequest request;
    for (const std::string& url : peer_urls) request.add_peerurls(url);
    request.set_islearner(true);
    pb::MemberAddResponse reply;
    RETURN_IF_ERROR(Call(*cluster_, &pb::Cluster::Stub::MemberAdd, request, reply, "member add"));
    return AddedMember{.id = reply.member().id(), .members = MembersFrom(reply.members())};
  }

  Status PromoteMember(std::uint64_t id) override {
    pb::MemberPromoteRequest request;
    request.set_id(id);
    pb::MemberPromoteResponse reply;
    return Call(*cluster_, &pb::Cluster::Stub::MemberPromote, request, reply, "member promote");
  }

  Status RemoveMember(std::uint64_t id) override {
    pb::MemberRemoveRequest request;
    request.set_id(id);
    pb::MemberRemoveResponse reply;
    return Call(*cluster_, &pb::Cluster::Stub::MemberRemove, request, reply, "member remove");
  }

  Status MoveLeader(std::uint64_t to) override {
    pb::MoveLeaderRequest request;
    request.set_targetid(to);
    pb::MoveLeaderResponse reply;
    return Call(*maintenance_, &pb::Maintenance::Stub::MoveLeader, request, reply, "move leader");
  }

  StatusOr<std::vector<Alarm>> ListAlarms() override {
    pb::AlarmResponse reply;
    RETURN_IF_ERROR(Call(*maintenance_, &pb::Maintenance::Stub::Alarm, pb::AlarmRequest(), reply,
                         "alarm list"));
    std::vector<Alarm> out;
    for (const pb::AlarmMember& a : reply.alarms()) {
      out.push_back({a.memberid(), a.alarm() == pb::NOSPACE   ? Alarm::Type::kNoSpace
                                   : a.alarm() == pb::CORRUPT ? Alarm::Type::kCorrupt
                                                              : Alarm::Type::kOther});
    }
    return out;
  }

  Status DisarmAlarm(const Alarm& alarm) override {
    pb::AlarmRequest request;
    request.set_action(pb::AlarmRequest::DEACTIVATE);
    request.set_memberid(alarm.member_id);
    switch (alarm.type) {
      case Alarm::Type::kNoSpace:
        request.set_alarm(pb::NOSPACE);
        break;
      case Alarm::Type::kCorrupt:
        request.set_alarm(pb::CORRUPT);
        break;
      case Alarm::Type::kOther:
        return UnimplementedError("an alarm of a kind that is not known here is not disarmed");
    }
    pb::AlarmResponse reply;
    return Call(*maintenance_, &pb::Maintenance::Stub::Alarm, request, reply, "alarm disarm");
  }

  Status Defragment() override {
    pb::DefragmentResponse reply;
    return Call(*maintenance_, &pb::Maintenance::Stub::Defragment, pb::DefragmentRequest(), reply,
                "defragment", kDefragmentTimeout);
  }

  StatusOr<KeyRecord> Get(const std::string& key) override {
    pb::RangeRequest request;
    request.set_key(key);
    ASSIGN_OR_RETURN(std::vector<KeyRecord> found, Range(request));
    if (found.empty()) return NotFoundError("etcd has no key {}", key);
    return std::move(found[0]);
  }

  StatusOr<std::vector<KeyRecord>> GetPrefix(const std::string& prefix) override {
    pb::RangeRequest request;
    request.set_key(prefix);
    request.set_range_end(PrefixEnd(prefix));
    request.set_limit(kPrefixKeysMax);
    return Range(request);
  }

  Status Put(const std::string& key, const std::string& value, LeaseId lease) override {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    pb::PutResponse reply;
    return Call(*kv_, &pb::KV::Stub::Put, request, reply, "put");
  }

  Status Delete(const std::string& key) override {
    pb::DeleteRangeRequest request;
    request.set_key(key);
    pb::DeleteRangeResponse reply;
    return Call(*kv_, &pb::KV::Stub::DeleteRange, request, reply, "delete");
  }

  Status Create(const std::string& key, const std::string& value) override {
    pb::TxnRequest request;
    pb::Compare* absent = request.add_compare();
    absent->set_target(pb::Compare::CREATE);
    absent->set_result(pb::Compare::EQUAL);
    absent->set_key(key);
    absent->set_create_revision(0);
    pb::PutRequest* put = request.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(value);
    pb::TxnResponse reply;
    RETURN_IF_ERROR(Call(*kv_, &pb::KV::Stub::Txn, request, reply, "create"));
    if (!reply.succeeded()) return AlreadyExistsError("etcd has the key {} already", key);
    return OkStatus();
  }

  StatusOr<ScanPage> Scan(const ScanRequest& scan) override {
    static const std::string kFirst(
        1, '\0');  // as a key: no key is before it; as an end: none is behind
    pb::RangeRequest request;
    request.set_key(scan.from.empty() ? kFirst : scan.from);
    request.set_range_end(kFirst);
    request.set_revision(scan.revision);
    request.set_keys_only(scan.keys_only);
    request.set_serializable(scan.serializable);
    for (std::int64_t limit = scan.limit;; limit = std::max<std::int64_t>(limit / 8, 1)) {
      request.set_limit(limit);
      pb::RangeResponse reply;
      const Status status = Call(*kv_, &pb::KV::Stub::Range, request, reply, "range");
      if (absl::IsResourceExhausted(status) && limit != 1) continue;  // too long a message
      RETURN_IF_ERROR(status);
      return ScanPage{.records = RecordsFrom(reply),
                      .more = reply.more(),
                      .count = static_cast<std::uint64_t>(reply.count()),
                      .revision = scan.revision != 0 ? scan.revision : reply.header().revision()};
    }
  }

  Status Apply(const std::vector<KeyChange>& changes) override {
    pb::TxnRequest request;
    for (const KeyChange& change : changes) {
      pb::RequestOp* op = request.add_success();
      if (change.value) {
        op->mutable_request_put()->set_key(change.key);
        op->mutable_request_put()->set_value(*change.value);
      } else {
        op->mutable_request_delete_range()->set_key(change.key);
      }
    }
    pb::TxnResponse reply;
    return Call(*kv_, &pb::KV::Stub::Txn, request, reply, "txn");
  }

  StatusOr<KeyHash> HashKeys(std::int64_t revision) override {
    pb::HashKVRequest request;
    request.set_revision(revision);
    pb::HashKVResponse reply;
    RETURN_IF_ERROR(
        Call(*maintenance_, &pb::Maintenance::Stub::HashKV, request, reply, "hash", kHashTimeout));
    return KeyHash{.hash = reply.hash(), .compact_revision = reply.compact_revision()};
  }

  StatusOr<LeaseId> GrantLease(absl::Duration ttl) override {
    pb::LeaseGrantRequest request;
    request.set_ttl(absl::ToInt64Seconds(ttl));
    pb::LeaseGrantResponse reply;
    RETURN_IF_ERROR(Call(*lease_, &pb::Lease::Stub::LeaseGrant, request, reply, "lease grant"));
    if (!reply.error().empty()) return UnavailableError("etcd lease grant: {}", reply.error());
    return reply.id();
  }

  Status KeepLeaseAlive(LeaseId lease) override {
    grpc::ClientContext context;
    RETURN_IF_ERROR(login_.Attach(context));
    SetDeadline(context, timeout_);
    const auto stream = lease_->LeaseKeepAlive(&context);
    pb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    pb::LeaseKeepAliveResponse reply;
    const bool answered = stream->Write(request) && stream->Read(&reply);
    // One question is asked, and etcd would wait for the next.
    if (answered) context.TryCancel();
    const grpc::Status status = stream->Finish();
    if (!answered) {
      RETURN_IF_ERROR(FromGrpc(status, "lease keep-alive"));
      return UnavailableError("etcd lease keep-alive: the stream ended without an answer");
    }
    if (reply.ttl() <= 0) return NotFoundError("etcd lease {:x} has ended", lease);
    return OkStatus();
  }

  StatusOr<std::unique_ptr<SnapshotStream>> Snapshot(absl::Duration stall_timeout,
                                                     std::stop_token stop) override {
    for (bool renewed = false;; renewed = true) {
      auto stream = std::make_unique<GrpcSnapshotStream>(*maintenance_, stall_timeout, stop);
      const Status begun = stream->Begin(login_);
      if (!begun.ok() && !renewed && login_.Renew(begun)) continue;
      RETURN_IF_ERROR(begun);
      return stream;
    }
  }

 private:
  static void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  }
  template <typename Stub, typename Method, typename Request, typename Reply>
  Status Call(Stub& stub, Method method, const Request& request, Reply& reply,
              std::string_view name) {
    return Call(stub, method, request, reply, name, timeout_);
  }
  template <typename Stub, typename Method, typename Request, typename Reply>
  Status Call(Stub& stub, Method method, const Request& request, Reply& reply,
              std::string_view name, absl::Duration timeout) {
    for (bool renewed = false;; renewed = true) {
      grpc::ClientContext context;
      RETURN_IF_ERROR(login_.Attach(context));
      SetDeadline(context, timeout);
      Status status = FromGrpc((stub.*method)(&context, request, &reply), name);
      if (renewed || !login_.Renew(status)) return status;
    }
  }

  StatusOr<std::vector<KeyRecord>> Range(const pb::RangeRequest& request) {
    pb::RangeResponse reply;
    RETURN_IF_ERROR(Call(*kv_, &pb::KV::Stub::Range, request, reply, "range"));
    return RecordsFrom(reply);
  }

  Login login_;
  std::unique_ptr<pb::KV::Stub> kv_;
  std::unique_ptr<pb::Lease::Stub> lease_;
  std::unique_ptr<pb::Cluster::Stub> cluster_;
  std::unique_ptr<pb::Maintenance::Stub> maintenance_;
  const absl::Duration timeout_;
};

}  // namespace

StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options) {
  // What it has to say comes with a status, except for its last words.
  gpr_set_log_function([](gpr_log_func_args* line) {
    if (std::string_view(line->message).starts_with("assertion failed"))
      LogError("gRPC: {} ({}:{})", line->message, line->file, line->line);
  });
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options.tls) {
    credentials = grpc::SslCredentials({.pem_root_certs = options.ca_pem,
                                        .pem_private_key = options.key_pem.reveal(),
                                        .pem_cert_chain = options.certificate_pem});
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // An etcd that starts accepts connections and answers them once it has a leader, up to ten seconds later. The "minimum
  // back-off" is what bounds a handshake.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 30'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Our callers know what may be asked twice. And gRPC's own retries abort the process when a call ends without a status, as
  // an etcd that is being stopped, or what stands before it, may end one (grpc/grpc#34683; mended long after Debian's 1.51).
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  auto channel = grpc::CreateCustomChannel(options.endpoint, credentials, arguments);
  if (channel == nullptr)
    return InvalidArgumentError("cannot connect to etcd at {}", options.endpoint);
  return std::make_unique<GrpcClient>(std::move(channel), options);
}

}  // namespace holdfast::etcd
