// Against a gRPC server that misbehaves as told; real etcds are in tests/system.
#include "etcd/client.h"

#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "etcd/health.h"
#include "os/fd.h"
#include "testing/grpc_etcd.h"
#include "testing/streams.h"

namespace holdfast::etcd {
namespace {

using testing::GrpcEtcd;
using ::testing::HasSubstr;
using Writer = GrpcEtcd::Writer;
namespace pb = ::etcdserverpb;

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

  GrpcEtcd etcd_;
  std::uint64_t total_ = 0;
};

TEST_F(SnapshotStreamTest, PiecesAndDigestAreOneStreamOfKnownLength) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, std::string(32768, 'a'), 40000);
    GrpcEtcd::Send(writer, std::string(32768, 'b'), 7232);
    GrpcEtcd::Send(writer, std::string(7232, 'c'), 0);
    GrpcEtcd::Send(writer, kDigest, 0);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Take().value(),
            std::string(32768, 'a') + std::string(32768, 'b') + std::string(7232, 'c') + kDigest);
  EXPECT_EQ(total_, 72768u + 32);
}

TEST_F(SnapshotStreamTest, SilenceEndsTheStreamAfterTheStallTimeout) {
  etcd_.snapshot = [](grpc::ServerContext& context, Writer&) {
    GrpcEtcd::Stall(context);
    return grpc::Status::OK;
  };
  const Status at_once = Take(absl::Milliseconds(200)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(at_once));
  EXPECT_EQ(MessageOf(at_once), "etcd snapshot: etcd sent nothing for 200ms");
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    GrpcEtcd::Send(writer, "some", 100);
    GrpcEtcd::Stall(context);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Take(absl::Milliseconds(200)).status()));
}

TEST_F(SnapshotStreamTest, TimeBetweenReadsIsNotEtcdsFault) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, std::string(100, 'a'), 100);
    GrpcEtcd::Send(writer, std::string(100, 'b'), 0);
    GrpcEtcd::Send(writer, kDigest, 0);
    return grpc::Status::OK;
  };
  const auto client = etcd_.Connect();
  const auto stream = client->Snapshot(absl::Milliseconds(100), {}).value();
  // A slow disk of ours: nothing is read for as long as it takes another stream, begun later, to be given up.
  etcd_.snapshot = [](grpc::ServerContext& context, Writer&) {
    GrpcEtcd::Stall(context);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Take(absl::Milliseconds(200)).status()));
  EXPECT_EQ(testing::ReadAll(*stream)->size(), 232u);
}

TEST_F(SnapshotStreamTest, EmptyPiecesForEverAreNotTaken) {
  // What an etcd that cannot read its own file does.
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    GrpcEtcd::Send(writer, "some", 100);
    while (!context.IsCancelled()) GrpcEtcd::Send(writer, "", 100);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(NotUnderstood(Take().status()));
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, "", 100);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(NotUnderstood(Take().status()));
}

TEST_F(SnapshotStreamTest, AnEarlyEndIsNoSnapshot) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, "some", 100);
    return grpc::Status::OK;
  };
  EXPECT_EQ(MessageOf(Take().status()), "etcd snapshot: the stream ended early");
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, "all of it", 0);
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
      for (const auto& [blob, remaining] : pieces) GrpcEtcd::Send(writer, blob, remaining);
      return grpc::Status::OK;
    };
    EXPECT_TRUE(NotUnderstood(Take().status()));
  }
}

TEST_F(SnapshotStreamTest, AnErrorOfEtcdKeepsItsCodeAndWords) {
  etcd_.snapshot = [](grpc::ServerContext&, Writer& writer) {
    GrpcEtcd::Send(writer, "some", 100);
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
    GrpcEtcd::Send(writer, "some", 100);
    stop.request_stop();
    GrpcEtcd::Stall(context);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsCancelled(Take(absl::Hours(1), stop.get_token()).status()));
  EXPECT_TRUE(absl::IsCancelled(Take(absl::Hours(1), stop.get_token()).status()));
}

TEST_F(SnapshotStreamTest, ItMayBeLeftInTheMiddle) {
  etcd_.snapshot = [](grpc::ServerContext& context, Writer& writer) {
    GrpcEtcd::Send(writer, "some", 100);
    GrpcEtcd::Stall(context);
    return grpc::Status::OK;
  };
  const auto client = etcd_.Connect();
  EXPECT_TRUE(client->Snapshot(absl::Hours(1), {}).ok());  // and dropped
}

TEST(Client, CallsHaveADeadlineAndNobodyThereIsUnavailable) {
  std::unique_ptr<Client> client;
  {
    GrpcEtcd etcd;
    etcd.hang = true;
    client = etcd.Connect(absl::Milliseconds(200));
    EXPECT_TRUE(absl::IsDeadlineExceeded(client->GetStatus().status()));
  }
  const Status status = client->GetStatus().status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) << status;
}

// Speaks just enough of HTTP/2 (RFC 9113) to end a call as no gRPC server should: it takes one connection, and when the first
// call's request is there it sends what it was told, and goes when the client does.
class HalfAnAnswer {
 public:
  explicit HalfAnAnswer(std::string answer, bool close)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    endpoint_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::jthread([this, answer = std::move(answer), close] {
      const Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      Send(peer, Frame(kSettings, 0, 0, ""));
      std::string head(24, ' ');  // the preface, which is not looked at
      bool whole = ReadAll(peer, head);
      while (whole) {
        head.resize(9);
        if (!ReadAll(peer, head)) return;
        const auto byte = [&](int i) { return static_cast<unsigned char>(head[i]); };
        std::string body(byte(0) << 16 | byte(1) << 8 | byte(2), ' ');
        whole = ReadAll(peer, body);
        if (byte(3) != kData || (byte(4) & kEndStream) == 0) continue;
        Send(peer, answer);
        if (close) return;
      }
    });
  }

  static constexpr int kData = 0, kHeaders = 1, kSettings = 4, kEndStream = 1, kEndHeaders = 4;

  static std::string Frame(int type, int flags, int stream, const std::string& body) {
    const auto size = static_cast<char>(body.size());
    return std::string({0, 0, size, static_cast<char>(type), static_cast<char>(flags), 0, 0, 0,
                        static_cast<char>(stream)}) +
           body;
  }
  // ":status: 200" and "content-type: application/grpc" in the words of HPACK (RFC 7541).
  static std::string Headers(int flags) {
    return Frame(kHeaders, flags | kEndHeaders, 1,
                 "\x88\x5f\x10"
                 "application/grpc");
  }

  const std::string& endpoint() const { return endpoint_; }

 private:
  static bool ReadAll(const Fd& peer, std::string& out) {
    return out.empty() || ::recv(peer.get(), out.data(), out.size(), MSG_WAITALL) ==
                              static_cast<ssize_t>(out.size());
  }

  static void Send(const Fd& peer, const std::string& bytes) {
    EXPECT_EQ(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  Fd listener_;
  std::string endpoint_;
  std::jthread thread_;
};

// An etcd that is stopped in the middle of a call ends it without gRPC's status: its HTTP server does not know of gRPC.
TEST(Client, ACallThatEndsWithoutAStatusIsUnavailable) {
  using H = HalfAnAnswer;
  for (const bool close : {false, true}) {
    for (const std::string& answer :
         {H::Headers(0) + H::Frame(H::kData, H::kEndStream, 1, ""), H::Headers(H::kEndStream),
          H::Headers(0) + H::Headers(H::kEndStream), H::Headers(0)}) {
      H etcd(answer, close);
      const auto client = Connect(
          {.endpoint = etcd.endpoint(), .tls = false, .call_timeout = absl::Milliseconds(500)});
      const Status status = (*client)->ListMembers().status();
      EXPECT_TRUE(MayPass(status)) << status;
    }
  }
}

TEST(Client, OfGrpcsLogOnlyItsLastWordsAreSeen) {
  const GrpcEtcd etcd;
  const auto client = etcd.Connect();
  ::testing::internal::CaptureStderr();
  gpr_log(GPR_ERROR, "of no interest");
  gpr_log(GPR_ERROR, "assertion failed: %s", "what it died of");
  const std::string seen = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(seen, HasSubstr("gRPC: assertion failed: what it died of ("));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("of no interest")));
}

TEST(Client, KeysAreFoundByNameAndPrefixAndCreatedOnce) {
  GrpcEtcd etcd;
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
  GrpcEtcd etcd;
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
  GrpcEtcd etcd;
  for (char c = 'a'; c < 'j'; ++c) etcd.data[std::string(1, c)] = std::string(3 << 20, c);
  const auto client = etcd.Connect();
  const ScanPage page = client->Scan({.limit = 9}).value();
  EXPECT_EQ(page.records.size(), 1u);
  EXPECT_TRUE(page.more);
  etcd.data["a"] = std::string(17 << 20, 'a');
  EXPECT_TRUE(absl::IsResourceExhausted(client->Scan({.limit = 9}).status()));
}

TEST(Client, AUserGetsATokenAndANewOneWhenItRanOut) {
  GrpcEtcd etcd;
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
  GrpcEtcd etcd;
  const auto client = etcd.ConnectAs("root", "x");
  EXPECT_TRUE(client->HashKeys(5).ok());
  EXPECT_TRUE(client->HashKeys(5).ok());
  EXPECT_EQ(etcd.logins, 1);
}

TEST(Client, AKeyMayHangOnALeaseAndBeDeleted) {
  GrpcEtcd etcd;
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
  GrpcEtcd etcd;
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
  GrpcEtcd etcd;
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
  GrpcEtcd learner, fit;
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

}  // namespace
}  // namespace holdfast::etcd
