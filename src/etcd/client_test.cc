// Against a gRPC server that misbehaves as told; real etcds are in tests/system.
#include "etcd/client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "etcd/health.h"
#include "proto/etcd.grpc.pb.h"
#include "testing/streams.h"

namespace holdfast::etcd {
namespace {

namespace pb = ::etcdserverpb;
using ::testing::HasSubstr;
using Writer = grpc::ServerWriter<pb::SnapshotResponse>;

class FakeEtcd final : public pb::Maintenance::Service,
                       public pb::KV::Service,
                       public pb::Lease::Service,
                       public pb::Auth::Service,
                       public pb::Cluster::Service {
 public:
  FakeEtcd() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<pb::Maintenance::Service*>(this));
    builder.RegisterService(static_cast<pb::KV::Service*>(this));
    builder.RegisterService(static_cast<pb::Lease::Service*>(this));
    builder.RegisterService(static_cast<pb::Cluster::Service*>(this));
    builder.RegisterService(static_cast<pb::Auth::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeEtcd() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::unique_ptr<Client> ConnectAs(const char* user, const char* password_given) const {
    return etcd::Connect({.endpoint = endpoint(),
                          .tls = false,
                          .user = user,
                          .password = Secret(password_given),
                          .call_timeout = absl::Seconds(20)})
        .value();
  }
  std::unique_ptr<Client> Connect(absl::Duration call_timeout = absl::Seconds(20)) const {
    return etcd::Connect({.endpoint = endpoint(), .tls = false, .call_timeout = call_timeout})
        .value();
  }

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

  static void Send(Writer& writer, const std::string& blob, std::uint64_t remaining) {
    pb::SnapshotResponse message;
    message.set_blob(blob);
    message.set_remaining_bytes(remaining);
    writer.Write(message);
  }
  // Until the client has cancelled.
  static void Stall(grpc::ServerContext& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  grpc::Status Snapshot(grpc::ServerContext* context, const pb::SnapshotRequest*,
                        Writer* writer) override {
    const auto handler =
        snapshot;  // the test may set the next one while this one has not noticed its end yet
    return handler(*context, *writer);
  }
  grpc::Status Status(grpc::ServerContext* context, const pb::StatusRequest*,
                      pb::StatusResponse* reply) override {
    if (hang) Stall(*context);
    *reply = status;
    return grpc::Status::OK;
  }
  grpc::Status Alarm(grpc::ServerContext*, const pb::AlarmRequest* request,
                     pb::AlarmResponse* reply) override {
    if (!alarm_error.empty()) return {grpc::StatusCode::UNKNOWN, alarm_error};
    if (request->action() == pb::AlarmRequest::DEACTIVATE) {
      auto* all = alarms.mutable_alarms();
      all->erase(std::remove_if(all->begin(), all->end(),
                                [&](const auto& a) { return a.alarm() == request->alarm(); }),
                 all->end());
    }
    *reply = alarms;
    return grpc::Status::OK;
  }
  grpc::Status Defragment(grpc::ServerContext*, const pb::DefragmentRequest*,
                          pb::DefragmentResponse*) override {
    ++defragmented;
    return grpc::Status::OK;
  }
  grpc::Status Range(grpc::ServerContext*, const pb::RangeRequest* request,
                     pb::RangeResponse* reply) override {
    const bool to_the_end = request->range_end() == std::string(1, '\0');
    for (const auto& [key, value] : data) {
      const bool hit = request->range_end().empty()
                           ? key == request->key()
                           : key >= request->key() && (to_the_end || key < request->range_end());
      if (!hit) continue;
      reply->set_count(reply->count() + 1);
      if (request->limit() > 0 && reply->kvs_size() == request->limit()) {
        reply->set_more(true);
        continue;
      }
      auto* kv = reply->add_kvs();
      kv->set_key(key);
      if (!request->keys_only()) kv->set_value(value);
      kv->set_lease(7);
    }
    reply->mutable_header()->set_revision(12);
    return grpc::Status::OK;
  }
  grpc::Status Txn(grpc::ServerContext*, const pb::TxnRequest* request,
                   pb::TxnResponse* reply) override {
    if (request->compare_size() == 0) {
      for (const auto& op : request->success()) {
        if (op.has_request_put()) data[op.request_put().key()] = op.request_put().value();
        if (op.has_request_delete_range()) data.erase(op.request_delete_range().key());
      }
      return grpc::Status::OK;
    }
    const auto& put = request->success(0).request_put();
    reply->set_succeeded(data.emplace(put.key(), put.value()).second);
    return grpc::Status::OK;
  }
  grpc::Status HashKV(grpc::ServerContext* context, const pb::HashKVRequest* request,
                      pb::HashKVResponse* reply) override {
    if (!password.empty()) {
      const auto token = context->client_metadata().find("token");
      if (token == context->client_metadata().end())
        return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: user name is empty"};
      if (token->second != "token-" + std::to_string(logins))
        return {grpc::StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token"};
    }
    if (request->revision() > 12) {
      return {grpc::StatusCode::OUT_OF_RANGE,
              "etcdserver: mvcc: required revision is a future revision"};
    }
    reply->set_hash(4'000'000'000);
    reply->set_compact_revision(3);
    return grpc::Status::OK;
  }
  grpc::Status Authenticate(grpc::ServerContext*, const pb::AuthenticateRequest* request,
                            pb::AuthenticateResponse* reply) override {
    ++logins;
    if (password.empty()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: authentication is not enabled"};
    }
    if (request->name() != "root" || request->password() != password) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "etcdserver: authentication failed, invalid user ID or password"};
    }
    reply->set_token("token-" + std::to_string(logins));
    return grpc::Status::OK;
  }

  grpc::Status Put(grpc::ServerContext*, const pb::PutRequest* request, pb::PutResponse*) override {
    data[request->key()] = request->value();
    if (request->lease() != 0) leases.at(request->lease()).push_back(request->key());
    return grpc::Status::OK;
  }
  grpc::Status DeleteRange(grpc::ServerContext*, const pb::DeleteRangeRequest* request,
                           pb::DeleteRangeResponse*) override {
    data.erase(request->key());
    return grpc::Status::OK;
  }
  grpc::Status LeaseGrant(grpc::ServerContext*, const pb::LeaseGrantRequest* request,
                          pb::LeaseGrantResponse* reply) override {
    leases[request->ttl()];
    reply->set_id(request->ttl());
    return grpc::Status::OK;
  }
  grpc::Status LeaseKeepAlive(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<pb::LeaseKeepAliveResponse, pb::LeaseKeepAliveRequest>* stream)
      override {
    pb::LeaseKeepAliveRequest request;
    while (stream->Read(&request)) {  // as etcd, it waits for the next one
      if (hang) Stall(*context);
      pb::LeaseKeepAliveResponse reply;
      reply.set_id(request.id());
      reply.set_ttl(leases.contains(request.id()) ? request.id() : 0);
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }
  grpc::Status MemberAdd(grpc::ServerContext*, const pb::MemberAddRequest* request,
                         pb::MemberAddResponse* reply) override {
    if (!refusal.ok()) return refusal;
    pb::Member* member = members.add_members();
    member->set_id(0xb2);
    member->set_islearner(request->islearner());
    *member->mutable_peerurls() = request->peerurls();
    *reply->mutable_member() = *member;
    *reply->mutable_members() = members.members();
    return grpc::Status::OK;
  }
  grpc::Status MemberPromote(grpc::ServerContext*, const pb::MemberPromoteRequest* request,
                             pb::MemberPromoteResponse*) override {
    asked = fmt::format("promote {:x}", request->id());
    return refusal;
  }
  grpc::Status MemberRemove(grpc::ServerContext*, const pb::MemberRemoveRequest* request,
                            pb::MemberRemoveResponse*) override {
    asked = fmt::format("remove {:x}", request->id());
    return refusal;
  }
  grpc::Status MoveLeader(grpc::ServerContext*, const pb::MoveLeaderRequest* request,
                          pb::MoveLeaderResponse*) override {
    asked = fmt::format("move leader to {:x}", request->targetid());
    return refusal;
  }

  std::function<grpc::Status(grpc::ServerContext&, Writer&)> snapshot;
  pb::MemberListResponse members;
  grpc::Status refusal;  // of what changes members
  std::string asked;
  std::map<std::int64_t, std::vector<std::string>> leases;
  pb::StatusResponse status;
  pb::AlarmResponse alarms;
  std::string alarm_error;
  std::map<std::string, std::string> data;
  std::string password;  // of root; empty: no authentication
  int logins = 0;
  std::atomic<bool> hang = false;
  std::atomic<int> defragmented = 0;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

const std::string kDigest(32, 'd');

class SnapshotStreamTest : public ::testing::Test {
 protected:
  // The whole stream, or the error it ended with.
  StatusOr<std::string> Take(absl::Duration stall_timeout = absl::Seconds(20),
                             std::stop_token stop = {}) {
    const auto client = etcd_.Connect();
    ASSIGN_OR_RETURN(const auto stream, client->Snapshot(stall_timeout, stop));
    total_ = stream->bytes_total();
    return testing::ReadAll(*stream, 1000);
  }
  static bool NotUnderstood(const Status& status) {
    return absl::IsDataLoss(status) &&
           MessageOf(status).find("it may be unable to read its database") != std::string::npos;
  }

  FakeEtcd etcd_;
  std::uint64_t total_ = 0;
};

TEST_F(SnapshotStreamTest, PiecesAndDigestAreOneStreamOfKnownLength) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, std::string(32768, 'a'), 40000);
    FakeEtcd::Send(writer, std::string(32768, 'b'), 7232);
    FakeEtcd::Send(writer, std::string(7232, 'c'), 0);
    FakeEtcd::Send(writer, kDigest, 0);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Take().value(),
            std::string(32768, 'a') + std::string(32768, 'b') + std::string(7232, 'c') + kDigest);
  EXPECT_EQ(total_, 72768u + 32);
}

TEST_F(SnapshotStreamTest, SilenceEndsTheStreamAfterTheStallTimeout) {
  etcd_.snapshot = [](grpc::ServerContext& context, Writer&) {
    FakeEtcd::Stall(context);
    return grpc::Status::OK;
  };
  const Status at_once = Take(absl::Milliseconds(200)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(at_once));
  EXPECT_EQ(MessageOf(at_once), "etcd snapshot: etcd sent nothing for 200ms");
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    FakeEtcd::Stall(context);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Take(absl::Milliseconds(200)).status()));
}

TEST_F(SnapshotStreamTest, TimeBetweenReadsIsNotEtcdsFault) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, std::string(100, 'a'), 100);
    FakeEtcd::Send(writer, std::string(100, 'b'), 0);
    FakeEtcd::Send(writer, kDigest, 0);
    return grpc::Status::OK;
  };
  const auto client = etcd_.Connect();
  const auto stream = client->Snapshot(absl::Milliseconds(100), {}).value();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // a slow disk of ours
  EXPECT_EQ(testing::ReadAll(*stream)->size(), 232u);
}

TEST_F(SnapshotStreamTest, EmptyPiecesForEverAreNotTaken) {
  // What an etcd that cannot read its own file does.
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    while (!context.IsCancelled()) FakeEtcd::Send(writer, "", 100);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(NotUnderstood(Take().status()));
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, "", 100);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(NotUnderstood(Take().status()));
}

TEST_F(SnapshotStreamTest, AnEarlyEndIsNoSnapshot) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    return grpc::Status::OK;
  };
  EXPECT_EQ(MessageOf(Take().status()), "etcd snapshot: the stream ended early");
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, "all of it", 0);
    return grpc::Status::OK;  // and no digest
  };
  EXPECT_TRUE(absl::IsDataLoss(Take().status()));
  etcd_.snapshot = [](grpc::ServerContext&, Writer&) { return grpc::Status::OK; };
  EXPECT_TRUE(absl::IsDataLoss(Take().status()));
}

TEST_F(SnapshotStreamTest, RemaindersThatDoNotAddUpAreNotTaken) {
  const std::vector<std::vector<std::pair<std::string, std::uint64_t>>> streams = {
      {{"aaaa", 100}, {"bbbb", 97}},              // too little is left
      {{"aaaa", 100}, {"bbbb", 95}},              // too much
      {{"aaaa", 3}, {"bbbb", 0}},                 // more than remained
      {{"aaaa", 0}, {"short digest", 0}},         // no digest
      {{"aaaa", 0}, {kDigest, 7}},                // the digest, and then?
      {{"aaaa", 0}, {kDigest, 0}, {kDigest, 0}},  // two of them
      {{"aaaa", 0}, {kDigest, 0}, {"more", 0}},   // data behind it
      {{"aaaa", 5}, {kDigest, 0}}};               // the digest too early
  for (const auto& pieces : streams) {
    etcd_.snapshot = [pieces](grpc::ServerContext&, Writer& writer) {
      for (const auto& [blob, remaining] : pieces) FakeEtcd::Send(writer, blob, remaining);
      return grpc::Status::OK;
    };
    EXPECT_TRUE(NotUnderstood(Take().status()));
  }
}

TEST_F(SnapshotStreamTest, AnErrorOfEtcdKeepsItsCodeAndWords) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "etcdserver: server stopped");
  };
  const Status status = Take().status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(MessageOf(status), "etcd snapshot: etcdserver: server stopped");
  etcd_.snapshot = [](grpc::ServerContext&, Writer&) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "etcdserver: rpc not supported for learner");
  };
  EXPECT_THAT(MessageOf(Take().status()), HasSubstr("rpc not supported for learner"));
}

TEST_F(SnapshotStreamTest, AStopEndsItBeforeAndWhileItRuns) {
  std::stop_source stop;
  etcd_.snapshot = [&](grpc::ServerContext& context, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    stop.request_stop();
    FakeEtcd::Stall(context);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsCancelled(Take(absl::Hours(1), stop.get_token()).status()));
  EXPECT_TRUE(absl::IsCancelled(Take(absl::Hours(1), stop.get_token()).status()));
}

TEST_F(SnapshotStreamTest, ItMayBeLeftInTheMiddle) {
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    FakeEtcd::Send(writer, "some", 100);
    FakeEtcd::Stall(context);
    return grpc::Status::OK;
  };
  const auto client = etcd_.Connect();
  EXPECT_TRUE(client->Snapshot(absl::Hours(1), {}).ok());  // and dropped
}

TEST(Client, CallsHaveADeadlineAndNobodyThereIsUnavailable) {
  std::unique_ptr<Client> client;
  {
    FakeEtcd etcd;
    etcd.hang = true;
    client = etcd.Connect(absl::Milliseconds(200));
    EXPECT_TRUE(absl::IsDeadlineExceeded(client->GetStatus().status()));
  }
  const Status status = client->GetStatus().status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) << status;
}

TEST(Client, KeysAreFoundByNameAndPrefixAndCreatedOnce) {
  FakeEtcd etcd;
  const auto client = etcd.Connect();
  EXPECT_TRUE(client->Create("/a/1", "x").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(client->Create("/a/1", "y")));
  EXPECT_TRUE(client->Create("/a/2", "z").ok());
  EXPECT_TRUE(client->Create("/b", "w").ok());
  EXPECT_EQ(client->Get("/a/1")->value, "x");
  EXPECT_TRUE(absl::IsNotFound(client->Get("/a/").status()));
  EXPECT_EQ(client->GetPrefix("/a/")->size(), 2u);
  EXPECT_EQ(client->GetPrefix("/c")->size(), 0u);
}

TEST(Client, KeysAreReadInPagesAndChangedTogether) {
  FakeEtcd etcd;
  const auto client = etcd.Connect();
  EXPECT_EQ(client->Scan({})->records.size(), 0u);
  ASSERT_TRUE(client->Apply({{"/a", "1"}, {"/b", "2"}, {std::string("/\0\xff", 3), ""}}).ok());
  ScanPage page = client->Scan({.limit = 2}).value();
  ASSERT_EQ(page.records.size(), 2u);
  EXPECT_EQ(page.records[0].key, std::string("/\0\xff", 3));
  EXPECT_EQ(page.records[1].value, "1");
  EXPECT_EQ(page.records[1].lease, 7);
  EXPECT_TRUE(page.more);
  EXPECT_EQ(page.count, 3u);
  EXPECT_EQ(page.revision, 12);
  page = client->Scan({.from = "/b", .limit = 2, .keys_only = true}).value();
  ASSERT_EQ(page.records.size(), 1u);
  EXPECT_EQ(page.records[0].value, "");
  EXPECT_FALSE(page.more);
  ASSERT_TRUE(client->Apply({{"/a", std::nullopt}, {"/b", "3"}}).ok());
  EXPECT_TRUE(absl::IsNotFound(client->Get("/a").status()));
  EXPECT_EQ(client->Get("/b")->value, "3");
}

TEST(Client, APageThatIsTooLongForAMessageComesInSmallerOnes) {
  FakeEtcd etcd;
  for (char c = 'a'; c < 'j'; ++c) etcd.data[std::string(1, c)] = std::string(3 << 20, c);
  const auto client = etcd.Connect();
  const ScanPage page = client->Scan({.limit = 9}).value();
  EXPECT_EQ(page.records.size(), 1u);
  EXPECT_TRUE(page.more);
  etcd.data["a"] = std::string(17 << 20, 'a');
  EXPECT_TRUE(absl::IsResourceExhausted(client->Scan({.limit = 9}).status()));
}

TEST(Client, AUserGetsATokenAndANewOneWhenItRanOut) {
  FakeEtcd etcd;
  etcd.password = "pa ss";
  const Status nobody = etcd.Connect()->HashKeys(5).status();
  EXPECT_EQ(MessageOf(nobody), "etcd hash: etcdserver: user name is empty");
  const auto client = etcd.ConnectAs("root", "pa ss");
  EXPECT_EQ(client->HashKeys(5)->hash, 4'000'000'000u);
  EXPECT_EQ(client->HashKeys(5)->compact_revision, 3);
  EXPECT_EQ(etcd.logins, 1);
  EXPECT_EQ(client->HashKeys(13).status().code(), StatusCode::kOutOfRange);
  ++etcd.logins;  // the token is not known any more
  EXPECT_TRUE(client->HashKeys(5).ok());
  EXPECT_EQ(etcd.logins, 3);
  const Status wrong = etcd.ConnectAs("root", "secret-guess")->HashKeys(5).status();
  EXPECT_EQ(MessageOf(wrong),
            "etcd authenticate: etcdserver: authentication failed, invalid user ID or password");
}

TEST(Client, AnEtcdWithoutAuthenticationTakesAnyUserAndIsAskedOnce) {
  FakeEtcd etcd;
  const auto client = etcd.ConnectAs("root", "x");
  EXPECT_TRUE(client->HashKeys(5).ok());
  EXPECT_TRUE(client->HashKeys(5).ok());
  EXPECT_EQ(etcd.logins, 1);
}

TEST(Client, AKeyMayHangOnALeaseAndBeDeleted) {
  FakeEtcd etcd;
  const auto client = etcd.Connect();
  const LeaseId lease = client->GrantLease(absl::Seconds(40)).value();
  EXPECT_TRUE(client->Put("/alive/a", "1", lease).ok());
  EXPECT_EQ(etcd.leases[40], std::vector<std::string>{"/alive/a"});
  EXPECT_TRUE(client->KeepLeaseAlive(lease).ok());
  EXPECT_TRUE(client->KeepLeaseAlive(lease).ok());
  etcd.leases.clear();
  EXPECT_TRUE(absl::IsNotFound(client->KeepLeaseAlive(lease)));
  EXPECT_TRUE(client->Delete("/alive/a").ok());
  EXPECT_TRUE(absl::IsNotFound(client->Get("/alive/a").status()));
  const auto hasty = etcd.Connect(absl::Milliseconds(200));
  etcd.hang = true;
  EXPECT_TRUE(absl::IsDeadlineExceeded(hasty->KeepLeaseAlive(lease)));
}

TEST(Client, MembersComeAndGo) {
  FakeEtcd etcd;
  const auto client = etcd.Connect();
  const AddedMember added = client->AddLearner({"https://10.0.0.2:2380"}).value();
  EXPECT_EQ(added.id, 0xb2u);
  ASSERT_EQ(added.members.size(), 1u);
  EXPECT_TRUE(added.members[0].is_learner);
  EXPECT_EQ(added.members[0].peer_urls, std::vector<std::string>{"https://10.0.0.2:2380"});
  EXPECT_TRUE(client->PromoteMember(0xb2).ok());
  EXPECT_EQ(etcd.asked, "promote b2");
  EXPECT_TRUE(client->RemoveMember(0xb3).ok());
  EXPECT_EQ(etcd.asked, "remove b3");
  EXPECT_TRUE(client->MoveLeader(0xb4).ok());
  EXPECT_EQ(etcd.asked, "move leader to b4");
}

TEST(Client, RefusalsAreToldApart) {
  FakeEtcd etcd;
  const auto client = etcd.Connect();
  using grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::UNAVAILABLE;
  struct Case {
    grpc::StatusCode code;
    const char* words;
    Refusal refusal;
    bool may_pass;
  };
  for (const Case& c :
       {Case{FAILED_PRECONDITION, "can only promote a learner member which is in sync with leader",
             Refusal::kLearnerNotInSync, true},
        Case{FAILED_PRECONDITION, "can only promote a learner member", Refusal::kNotALearner,
             false},
        Case{FAILED_PRECONDITION, "too many learner members in cluster", Refusal::kTooManyLearners,
             true},
        Case{UNAVAILABLE, "unhealthy cluster", Refusal::kUnhealthyCluster, true},
        Case{FAILED_PRECONDITION, "re-configuration failed due to not enough started members",
             Refusal::kTooFewStarted, true},
        Case{FAILED_PRECONDITION, "Peer URLs already exists", Refusal::kPeerUrlExists, false},
        Case{grpc::StatusCode::NOT_FOUND, "member not found", Refusal::kUnknownMember, false},
        Case{FAILED_PRECONDITION, "not leader", Refusal::kNotLeader, false},
        Case{UNAVAILABLE, "rpc not supported for learner", Refusal::kIsLearner, false},
        Case{UNAVAILABLE, "request timed out", Refusal::kOther, true},
        Case{FAILED_PRECONDITION, "member ID already exist", Refusal::kPeerUrlExists, false},
        Case{FAILED_PRECONDITION, "bad leader transferee", Refusal::kOther, false},
        Case{grpc::StatusCode::UNKNOWN, "re-configuration failed due to not enough started members",
             Refusal::kTooFewStarted, true}}) {
    etcd.refusal = grpc::Status(c.code, std::string("etcdserver: ") + c.words);
    for (const Status& status :
         {client->AddLearner({"https://10.0.0.2:2380"}).status(), client->PromoteMember(1),
          client->RemoveMember(1), client->MoveLeader(1)}) {
      EXPECT_EQ(RefusalOf(status), c.refusal) << status;
      EXPECT_EQ(MayPass(status), c.may_pass) << status;
    }
  }
  EXPECT_EQ(RefusalOf(OkStatus()), Refusal::kOther);
  EXPECT_FALSE(MayPass(OkStatus()));
}

TEST(Client, OfSeveralMembersTheFirstThatIsFitIsTaken) {
  FakeEtcd learner, fit;
  learner.status.set_leader(7);
  learner.status.set_islearner(true);
  fit.status.set_leader(7);
  const ClientOptions options{.tls = false, .call_timeout = absl::Seconds(20)};
  const auto client = ConnectToHealthy(
      options, {"http://127.0.0.1:1", "http://" + learner.endpoint(), "http://" + fit.endpoint()});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_FALSE((*client)->GetStatus()->is_learner);
  const Status none = ConnectToHealthy(options, {"http://" + learner.endpoint()}).status();
  EXPECT_TRUE(absl::IsUnavailable(none));
  EXPECT_EQ(MessageOf(none), "no etcd member can be asked: " + learner.endpoint() +
                                 ": this etcd member is a learner: it has no vote until it is "
                                 "promoted");
  EXPECT_TRUE(absl::IsUnavailable(ConnectToHealthy(options, {}).status()));
}

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    etcd_.status.set_leader(7);
    etcd_.status.mutable_header()->set_member_id(7);
  }
  void Raise(std::uint64_t member, pb::AlarmType type) {
    auto* alarm = etcd_.alarms.add_alarms();
    alarm->set_memberid(member);
    alarm->set_alarm(type);
  }

  FakeEtcd etcd_;
  std::unique_ptr<Client> client_ = etcd_.Connect();
};

TEST_F(HealthTest, ALeaderAndNoAlarmAreHealth) { EXPECT_TRUE(CheckHealth(*client_).ok()); }

TEST_F(HealthTest, NoLeaderAndALearnerMayHeal) {
  etcd_.status.set_islearner(true);
  EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_)));
  etcd_.status.set_leader(0);
  EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_)));
}

TEST_F(HealthTest, AlarmsOfOthersDoNotCount) {
  Raise(8, pb::CORRUPT);
  Raise(8, pb::NOSPACE);
  EXPECT_TRUE(CheckHealth(*client_).ok());
}

TEST_F(HealthTest, CorruptionIsWorseThanNoSpaceAndStays) {
  Raise(7, pb::NOSPACE);
  EXPECT_EQ(CheckHealth(*client_).code(), StatusCode::kResourceExhausted);
  Raise(7, pb::CORRUPT);
  EXPECT_EQ(CheckHealthAndCure(*client_).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(etcd_.defragmented, 0);
}

TEST_F(HealthTest, ALeaderThatIsLostMayComeBackAlsoWhereEtcdHasNoCodeForIt) {
  for (const char* words :
       {"etcdserver: request timed out",
        "etcdserver: request timed out, possibly due to previous leader failure",
        "etcdserver: no leader", "etcdserver: leader changed"}) {
    etcd_.alarm_error = words;
    EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_))) << words;
    EXPECT_EQ(MessageOf(CheckHealth(*client_)),
              fmt::format("etcd's leader does not answer: etcd alarm list: {}", words));
    EXPECT_TRUE(MayPass(CheckHealth(*client_))) << words;
  }
  etcd_.alarm_error = "etcdserver: something else";
  EXPECT_FALSE(MayPass(CheckHealth(*client_)));
}

TEST_F(HealthTest, OnlyTheAlarmThatIsMeantIsDisarmed) {
  Raise(7, pb::NOSPACE);
  Raise(7, pb::CORRUPT);
  EXPECT_FALSE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kOther}).ok());
  EXPECT_EQ(client_->ListAlarms()->size(), 2u);
  EXPECT_TRUE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kNoSpace}).ok());
  ASSERT_EQ(client_->ListAlarms()->size(), 1u);
  EXPECT_EQ(client_->ListAlarms()->front().type, Alarm::Type::kCorrupt);
  EXPECT_TRUE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kCorrupt}).ok());
  EXPECT_TRUE(client_->ListAlarms()->empty());
}

TEST_F(HealthTest, NoSpaceIsCuredByDefragmenting) {
  Raise(7, pb::NOSPACE);
  EXPECT_TRUE(CheckHealthAndCure(*client_).ok());
  EXPECT_EQ(etcd_.defragmented, 1);
  EXPECT_TRUE(CheckHealthAndCure(*client_).ok());
  EXPECT_EQ(etcd_.defragmented, 1);
}

}  // namespace
}  // namespace holdfast::etcd
