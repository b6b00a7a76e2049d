#include "server/cluster_entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "formats/member/raft_files.h"
#include "identity/lineage.h"
#include "keys/pki.h"
#include "os/atomic_file.h"
#include "restore/former_cluster.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kFirst[] = "https://first:9345", kSecond[] = "https://second:9345";

// Sleeping takes no time.
class JumpingClock final : public Clock {
 public:
  absl::Time Now() override { return absl::FromUnixSeconds(1'000) + steady_; }
  absl::Duration Steady() override { return steady_; }
  bool Sleep(absl::Duration length, std::stop_token stop) override {
    steady_ += length;
    return !stop.stop_requested();
  }

 private:
  absl::Duration steady_;
};

// The servers of the network: what each says at /db/info; the rest is alike. Who is not here does not answer.
using Network = std::map<std::string, std::string>;

class FakeNetwork final : public HttpClient {
 public:
  FakeNetwork(const Network& servers, const std::string& ca) : servers_(servers), ca_(ca) {}
  StatusOr<HttpResponse> Do(const HttpRequest& request) override {
    const auto path = request.url.find('/', std::string("https://").size());
    const auto server = servers_.find(request.url.substr(0, path));
    if (server == servers_.end()) return UnavailableError("nobody there");
    const std::string what = request.url.substr(path);
    if (what == "/cacerts") return Answer(ca_);
    if (what == "/v1-holdfast/lineage") {
      const auto info = ClusterInfo::Decode(server->second);
      return Answer(info->LineageOnly().Encode());
    }
    if (request.password.reveal() != "pw") return HttpResponse{.code = 401};
    if (what == "/db/info") return Answer(server->second);
    if (what == "/v1-holdfast/config") return Answer(R"({"a":"1"})");
    if (what == "/v1-holdfast/server-bootstrap")
      return Answer(EncodeBootstrap({{"ClientCA", {"pem", absl::UnixEpoch()}}}));
    return HttpResponse{.code = 404};
  }

 private:
  static HttpResponse Answer(const std::string& body) {
    return {.code = 200, .content_type = "", .headers = {}, .body = body};
  }
  const Network& servers_;
  const std::string& ca_;
};

class ClusterEntryTest : public ::testing::Test {
 protected:
  ClusterEntryTest() {
    EXPECT_TRUE(MakeDirectories(fs_, setup_.layout.db(), 0700).ok());
    setup_.make_http = [this] { return std::make_unique<FakeNetwork>(network_, ca_); };
  }

  // As a member of a cluster that has run here.
  void MakeData() {
    const Membership membership = ParseInitialCluster("n1=http://10.0.0.1:2380", "").value();
    ASSERT_TRUE(MakeDirectories(fs_, setup_.layout.etcd_wal(), 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(fs_, JoinPath(setup_.layout.etcd_wal(), kFirstWalName),
                                    EncodeFirstWal(membership, 7), 0600)
                    .ok());
    own_ = **ReadOwnData(fs_, setup_.layout);
  }
  std::string Info(const std::string& cluster, std::vector<std::uint64_t> members,
                   std::vector<std::string> former = {}) {
    ClusterInfo info{.members = {}, .cluster_id = cluster, .former_cluster_ids = std::move(former)};
    for (const std::uint64_t id : members) info.members.push_back({.id = id});
    return info.Encode();
  }
  void Know(const std::string& url) {
    ASSERT_TRUE(WriteKnownServers(fs_, setup_.layout, {{"other", url}}).ok());
  }
  Status Prepare(const char* password = "pw") {
    entry_.emplace(setup_);
    return entry_->Prepare(Secret(password));
  }
  bool HasData() { return Exists(fs_, setup_.layout.etcd_wal()).value(); }
  std::vector<std::string> SetAside() {
    std::vector<std::string> names;
    const auto entries = fs_.List(setup_.layout.db()).value();
    for (const DirectoryEntry& entry : entries) {
      if (entry.name.starts_with("etcd-")) names.push_back(entry.name);
    }
    return names;
  }

  testing::MemoryFs fs_;
  JumpingClock clock_;
  const std::string ca_ =
      MakeCa({.common_name = "ca", .now = absl::FromUnixSeconds(1'000)})->certificate_pem;
  Network network_;
  OwnData own_;
  ClusterSetup setup_{.fs = fs_,
                      .clock = clock_,
                      .distribution = Distributions()[0],
                      .layout = DataLayout("/data"),
                      .node_name = "n1",
                      .peer_url = "https://10.0.0.1:2380",
                      .token = Secret("pw"),
                      .config = {{{"a", "1"}}}};
  std::optional<ClusterEntry> entry_;
};

TEST_F(ClusterEntryTest, TheFirstServerOfAClusterAsksNobody) {
  EXPECT_TRUE(Prepare().ok());
  EXPECT_FALSE(entry_->joins());
  EXPECT_FALSE(entry_->bootstrap().has_value());
}

TEST_F(ClusterEntryTest, WithoutDataItJoinsAndLearnsWhatTheClusterWas) {
  setup_.server_url = kFirst;
  network_[kFirst] = Info("c2", {1}, {"b0"});
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(entry_->joins());
  EXPECT_EQ(entry_->bootstrap()->at("ClientCA").content, "pem");
  EXPECT_THAT(ReadFormerClusterIds(fs_, setup_.layout, "").value(), ::testing::ElementsAre("b0"));
}

TEST_F(ClusterEntryTest, AJoinNeedsATokenAServerAndTheSameSettings) {
  setup_.server_url = kFirst;
  EXPECT_EQ(Prepare().code(), StatusCode::kDeadlineExceeded);
  network_[kFirst] = Info("c2", {1});
  setup_.config.values["a"] = "2";
  const Status differs = Prepare();
  EXPECT_EQ(differs.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(differs), HasSubstr("a is 2 here and 1 there"));
  setup_.token = Secret("wrong");
  EXPECT_EQ(Prepare().code(), StatusCode::kUnauthenticated);
  setup_.token = Secret();
  EXPECT_EQ(Prepare().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(entry_->joins());
}

TEST_F(ClusterEntryTest, AMemberStartsWithWhatItHasWhoeverAnswers) {
  MakeData();
  setup_.server_url = kFirst;
  Know(kSecond);
  EXPECT_TRUE(Prepare().ok());  // nobody
  EXPECT_FALSE(entry_->bootstrap().has_value());
  network_[kFirst] = Info(own_.cluster_id, {own_.member_id, 9});
  EXPECT_TRUE(Prepare().ok());
  EXPECT_FALSE(entry_->joins());
  EXPECT_TRUE(entry_->bootstrap().has_value());
  setup_.config.values["a"] = "2";  // is changed on one after the other
  EXPECT_TRUE(Prepare().ok());
  setup_.token = Secret("wrong");
  EXPECT_EQ(Prepare().code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(HasData());
  EXPECT_THAT(SetAside(), IsEmpty());
}

TEST_F(ClusterEntryTest, DataFromBeforeAResetAreRefusedWhoeverSaysSo) {
  MakeData();
  network_[kFirst] = network_[kSecond] = Info("c2", {1}, {own_.cluster_id});
  for (const char* from : {kFirst, kSecond}) {
    setup_.server_url = from == kFirst ? kFirst : "";
    Know(kSecond);
    const Status refused = Prepare();
    EXPECT_EQ(refused.code(), StatusCode::kPermissionDenied) << from;
    EXPECT_THAT(HintOf(refused), HasSubstr(fmt::format("--rejoin --server {}", from)));
  }
  EXPECT_TRUE(HasData());
}

TEST_F(ClusterEntryTest, DataFromBeforeAResetAreRefusedWhateverTheTokenThereIs) {
  MakeData();
  network_[kSecond] = Info("c2", {1}, {own_.cluster_id});
  Know(kSecond);
  for (const char* password : {"rotated", ""}) {
    const Status refused = Prepare(password);
    EXPECT_EQ(refused.code(), StatusCode::kPermissionDenied) << password;
    EXPECT_THAT(HintOf(refused), HasSubstr("token show"));
  }
  network_[kSecond] = Info(own_.cluster_id, {own_.member_id});
  EXPECT_TRUE(Prepare("rotated").ok()) << "a rotation goes on: it is our cluster all the same";
  EXPECT_TRUE(HasData());
}

TEST_F(ClusterEntryTest, RejoinSetsOldDataAsideAndJoins) {
  MakeData();
  setup_.server_url = kFirst;
  setup_.rejoin = true;
  EXPECT_FALSE(Prepare().ok());  // nobody answers
  EXPECT_TRUE(HasData());
  network_[kFirst] = Info("c2", {1}, {own_.cluster_id});
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(entry_->joins());
  EXPECT_FALSE(HasData());
  ASSERT_EQ(SetAside().size(), 1u);
  EXPECT_TRUE(SetAside()[0].starts_with("etcd-old-"));
  EXPECT_THAT(ReadFormerClusterIds(fs_, setup_.layout, "").value(),
              ::testing::ElementsAre(own_.cluster_id));
  ASSERT_TRUE(Prepare().ok());  // as after a crash: there is nothing to set aside any more
  EXPECT_TRUE(entry_->joins());
}

TEST_F(ClusterEntryTest, RejoinLeavesWhatIsOfTheClusterOrNewerOrUnknown) {
  MakeData();
  setup_.server_url = kFirst;
  setup_.rejoin = true;
  network_[kFirst] = Info(own_.cluster_id, {own_.member_id});
  EXPECT_TRUE(Prepare().ok());
  EXPECT_FALSE(entry_->joins());
  network_[kFirst] = Info(own_.cluster_id, {});  // without a quorum, which may need us
  EXPECT_TRUE(Prepare().ok());
  EXPECT_FALSE(entry_->joins());
  network_[kFirst] = Info("", {});
  EXPECT_EQ(Prepare().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(AddFormerClusterIds(fs_, setup_.layout, {"b0"}).ok());
  network_[kFirst] = Info("b0", {1});
  EXPECT_EQ(Prepare().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(HasData());
  EXPECT_THAT(SetAside(), IsEmpty());
}

TEST_F(ClusterEntryTest, ARemovedMemberIsRefusedOrJoinsAnew) {
  MakeData();
  Know(kSecond);
  network_[kFirst] = network_[kSecond] = Info(own_.cluster_id, {own_.member_id + 1});
  EXPECT_EQ(Prepare().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(HasData());
  setup_.server_url = kFirst;
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(entry_->joins());
  EXPECT_FALSE(HasData());
  ASSERT_EQ(SetAside().size(), 1u);
  EXPECT_TRUE(SetAside()[0].starts_with("etcd-backup-"));
}

TEST_F(ClusterEntryTest, ATombstoneNeedsAServerToJoin) {
  MakeData();
  ASSERT_TRUE(fs_.OpenOrCreate(setup_.layout.tombstone(), 0600).ok());
  const Status refused = Prepare();
  EXPECT_EQ(refused.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(MessageOf(refused), HasSubstr("tombstone file has been detected"));
  EXPECT_TRUE(HasData());
  setup_.server_url = kFirst;
  EXPECT_EQ(Prepare().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(HasData()) << "nothing moves before the cluster has answered";
  setup_.server_url = "";
  EXPECT_EQ(Prepare().code(), StatusCode::kPermissionDenied) << "as before";
  setup_.server_url = kFirst;
  network_[kFirst] = Info(own_.cluster_id, {9});
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(entry_->joins());
  EXPECT_FALSE(HasData());
  setup_.server_url = "";  // the join was interrupted, and --server is forgotten
  const Status empty = Prepare();
  EXPECT_EQ(empty.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(empty), HasSubstr("would begin an empty cluster"));
}

}  // namespace
}  // namespace holdfast
