#include "api/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/mutex.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class FakeBackend final : public ApiBackend {
 public:
  std::string CaCertificates() override { return "the CA"; }
  Status Ready() override { return ready; }
  Status Live() override { return live; }
  std::string MetricsPage() override { return "x 1\n"; }
  StatusOr<SnapshotResult> SaveSnapshot(
      const SnapshotRequest& request,
      const std::function<void(const Progress&)>& on_progress) override {
    asked = request;
    for (const Progress& p : progress) on_progress(p);
    if (wait) wait();
    return result;
  }
  StatusOr<SnapshotResult> PruneSnapshots(const SnapshotRequest& request) override {
    asked = request;
    return result;
  }
  StatusOr<SnapshotResult> DeleteSnapshots(const SnapshotRequest& request) override {
    asked = request;
    return result;
  }
  StatusOr<SnapshotListing> ListSnapshots(const SnapshotRequest& request) override {
    asked = request;
    return SnapshotListing{
        .records = {{.name = "a", .node_name = "n", .location = "file:///a", .bytes = 5}}};
  }

  Status ready, live;
  StatusOr<SnapshotResult> result = SnapshotResult{.created = {"made"}, .deleted = {}};
  std::vector<Progress> progress;
  std::function<void()> wait;
  SnapshotRequest asked;
};

class Lines final : public LineStream {
 public:
  void Send(std::string line) override {
    const MutexLock lock(mutex_);
    sent.push_back(std::move(line));
    changed_.notify_all();
  }
  void WaitFor(std::size_t count) {
    const MutexLock lock(mutex_);
    while (sent.size() < count) changed_.wait(mutex_);
  }
  std::vector<std::string> sent;

 private:
  Mutex mutex_;
  ConditionVariable changed_;
};

class RoutesTest : public ::testing::Test {
 protected:
  ApiResponse Call(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::string& accept = "") {
    for (const Route& route : SupervisorRoutes(backend_, "etcd.x.io", heartbeat_)) {
      if (route.method == method && route.path == path) {
        return route.handle({.method = method, .path = path, .body = body, .accept = accept},
                            lines_);
      }
    }
    return {.code = 404};
  }
  ApiResponse Snapshot(const std::string& body, const std::string& accept = "") {
    return Call("POST", "/db/snapshot", body, accept);
  }

  FakeBackend backend_;
  Lines lines_;
  absl::Duration heartbeat_ = absl::Hours(1);
};

TEST_F(RoutesTest, OnlyTheServersOwnMayChangeOrSeeData) {
  std::map<std::string, Route::Access> found;
  for (const Route& route : SupervisorRoutes(backend_, "x"))
    found[route.method + " " + route.path] = route.access;
  using enum Route::Access;
  EXPECT_EQ(found, (std::map<std::string, Route::Access>{{"GET /cacerts", kAnyone},
                                                         {"GET /ping", kAnyone},
                                                         {"GET /readyz", kAnyone},
                                                         {"GET /livez", kAnyone},
                                                         {"GET /metrics", kAgent},
                                                         {"POST /db/snapshot", kServer}}));
}

TEST_F(RoutesTest, HealthIsAWordOrAReason) {
  EXPECT_EQ(Call("GET", "/readyz").code, 200);
  EXPECT_EQ(Call("GET", "/readyz").body, "ok");
  backend_.ready = UnavailableError("etcd has no leader");
  EXPECT_EQ(Call("GET", "/readyz").code, 503);
  EXPECT_EQ(Call("GET", "/readyz").body, "etcd has no leader\n");
  EXPECT_EQ(Call("GET", "/livez").code, 200);
  backend_.live = FailedPreconditionError("etcd did not start");
  EXPECT_EQ(Call("GET", "/livez").code, 503);
  EXPECT_EQ(Call("GET", "/cacerts").body, "the CA");
  EXPECT_EQ(Call("GET", "/ping").body, "pong");
  EXPECT_EQ(Call("GET", "/metrics").body, "x 1\n");
  EXPECT_EQ(Call("GET", "/metrics").content_type, "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(RoutesTest, EachOperationReachesTheBackendWithItsWords) {
  EXPECT_EQ(Snapshot(R"({"operation":"save","name":["b"],"dir":"/d","compress":true})").body,
            R"({"created":["made"]})");
  EXPECT_THAT(backend_.asked.names, ElementsAre("b"));
  EXPECT_EQ(backend_.asked.directory, "/d");
  EXPECT_EQ(backend_.asked.compress, true);
  backend_.result = SnapshotResult{.created = {}, .deleted = {"x", "y"}};
  EXPECT_EQ(Snapshot(R"({"operation":"prune","name":["b"],"retention":2})").body,
            R"({"deleted":["x","y"]})");
  EXPECT_EQ(backend_.asked.retention, 2);
  EXPECT_EQ(Snapshot(R"({"operation":"delete","name":["x","y"]})").code, 200);
  EXPECT_THAT(
      Json::parse(Snapshot(R"({"operation":"list"})").body)["items"][0]["metadata"]["labels"]
          .dump(),
      HasSubstr("etcd.x.io/snapshot-storage-node"));
  EXPECT_THAT(lines_.sent, IsEmpty());
}

TEST_F(RoutesTest, ErrorsKeepCodeAndHint) {
  const std::pair<Status, int> cases[] = {
      {AbortedError("busy"), 409},         {NotFoundError("no"), 404},
      {InvalidArgumentError("bad"), 400},  {ResourceExhaustedError("full"), 507},
      {DataLossError("broken"), 500},      {UnavailableError("later"), 503},
      {DeadlineExceededError("slow"), 504}};
  for (const auto& [status, code] : cases) {
    backend_.result = WithHint(status, "Do this.");
    const ApiResponse answer = Snapshot(R"({"operation":"save"})");
    EXPECT_EQ(answer.code, code);
    EXPECT_EQ(answer.content_type, kJsonType);
    const Status back = DecodeError(answer.code, answer.body);
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(MessageOf(back), MessageOf(status));
    EXPECT_EQ(HintOf(back), "Do this.");
  }
  for (const char* body :
       {"", "[]", "nonsense", R"({"operation":"fly"})", R"({"operation":"list","s3":{}})"}) {
    EXPECT_EQ(Snapshot(body).code, 400) << body;
  }
}

TEST_F(RoutesTest, ProgressComesAsLinesOnlyToWhoAcceptsThem) {
  backend_.progress = {{.done = 1, .total = 9},
                       {.done = 2, .total = 9}};  // the second comes too soon after the first
  EXPECT_EQ(Snapshot(R"({"operation":"save"})").content_type, kJsonType);
  EXPECT_THAT(lines_.sent, IsEmpty());
  const ApiResponse answer =
      Snapshot(R"({"operation":"save"})", "text/plain, application/x-ndjson;q=0.9");
  EXPECT_THAT(lines_.sent, ElementsAre("{\"progress\":{\"done\":1,\"total\":9}}\n"));
  EXPECT_EQ(answer.content_type, kLinesType);
  EXPECT_EQ(answer.body, "{\"result\":{\"created\":[\"made\"]}}\n");
}

TEST_F(RoutesTest, WhileNothingHappensTheLastProgressIsSaidAgain) {
  heartbeat_ = absl::Milliseconds(1);
  backend_.progress = {{.done = 7, .total = 9, .step = "upload"}};
  backend_.wait = [&] { lines_.WaitFor(3); };
  const ApiResponse saved = Snapshot(R"({"operation":"save"})", kLinesType);
  EXPECT_EQ(lines_.sent[2], "{\"progress\":{\"done\":7,\"total\":9,\"step\":\"upload\"}}\n");
  EXPECT_EQ(saved.body, "{\"result\":{\"created\":[\"made\"]}}\n");

  backend_.progress.clear();
  backend_.result = UnavailableError("S3 hangs");
  backend_.wait = [&, before = lines_.sent.size()] { lines_.WaitFor(before + 1); };
  const ApiResponse failed = Snapshot(R"({"operation":"save"})", kLinesType);
  EXPECT_EQ(lines_.sent.back(), "{\"progress\":{\"done\":0,\"total\":0}}\n");
  EXPECT_EQ(MessageOf(DecodeLine(failed.body).status()), "S3 hangs");
}

TEST_F(RoutesTest, AnErrorAfterTheFirstLineIsTheLastLine) {
  backend_.progress = {{.done = 1, .total = 9}};
  backend_.result = WithHint(UnavailableError("etcd died"), "Look at it.");
  const ApiResponse answer = Snapshot(R"({"operation":"save"})", kLinesType);
  EXPECT_EQ(answer.code, 200);
  const auto line = DecodeLine(answer.body);
  EXPECT_TRUE(absl::IsUnavailable(line.status()));
  EXPECT_EQ(MessageOf(line.status()), "etcd died");
  EXPECT_EQ(HintOf(line.status()), "Look at it.");
}

}  // namespace
}  // namespace holdfast
