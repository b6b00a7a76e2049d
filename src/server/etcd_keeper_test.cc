// With programs that are no etcd; real ones are watched in tests/system/server_test.py.
#include "server/etcd_keeper.h"

#include <gtest/gtest.h>
#include <stdio.h>

#include <atomic>
#include <optional>

#include "identity/certificates.h"
#include "os/atomic_file.h"
#include "testing/fake_clock.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

class EtcdKeeperTest : public ::testing::Test {
 protected:
  EtcdKeeperTest() {
    EXPECT_TRUE(
        EnsureCas(PosixFileSystem(), layout_, {.distribution = "x", .now = clock_.Now()}).ok());
    EXPECT_TRUE(
        EnsureLeaves(PosixFileSystem(), layout_, {.distribution = "x", .now = clock_.Now()}).ok());
  }

  void Start(const std::string& script) {
    const std::string binary = dir_ / "etcd";
    ASSERT_TRUE(
        WriteFileAtomically(PosixFileSystem(), binary, "#!/bin/sh\n" + script + "\n", 0755).ok());
    StartProgram(binary);
  }
  void StartProgram(const std::string& binary) {
    const etcd::RunOptions options{
        .binary = binary,
        .config = {.name = "n",
                   .data_dir = dir_ / "data",
                   .node_address = "127.0.0.1",
                   .ports = {.client = 1, .peer = 2, .metrics = 3, .client_http = 4},
                   .tls_dir = layout_.etcd_tls()},
        .config_path = dir_ / "config"};
    keeper_.emplace(PosixFileSystem(), clock_, metrics_, options, [this] { gave_up_ = true; });
  }

  testing::TempDir dir_;
  const DataLayout layout_{dir_.path()};
  testing::FakeClock clock_;
  Metrics metrics_{"x_"};
  std::atomic<bool> gave_up_ = false;
  std::optional<EtcdKeeper> keeper_;
};

TEST_F(EtcdKeeperTest, GivesUpAfterFiveStartsWithGrowingPausesBetween) {
  Start("echo broken >&2; exit 3");
  for (int seconds : {1, 2, 4, 8}) {
    EXPECT_EQ(clock_.WaitForSleep(), absl::Seconds(seconds));
    EXPECT_EQ(MessageOf(keeper_->health()), "etcd ended with exit code 3: broken");
    EXPECT_TRUE(keeper_->failure().ok());
    EXPECT_FALSE(gave_up_);
    clock_.Advance(absl::Seconds(seconds));
  }
  const Status status = keeper_->WaitHealthy({});
  EXPECT_EQ(MessageOf(status),
            "etcd did not start 5 times in a row: etcd ended with exit code 3: broken");
  EXPECT_EQ(status, keeper_->failure());
  keeper_.reset();
  EXPECT_TRUE(gave_up_);
  EXPECT_NE(metrics_.Page().find("x_etcd_restarts_total 4\n"), std::string::npos);
  EXPECT_NE(metrics_.Page().find("x_etcd_healthy 0\n"), std::string::npos);
}

TEST_F(EtcdKeeperTest, WhyEtcdDiedIsItsErrorAndNotWhatElseItSaid) {
  Start(R"(echo '{"level":"warn","msg":"a slow disk"}'
echo '{"level":"fatal","msg":"failed to save","error":"no space left on device"}'
echo '{"level":"warn","msg":"lost a peer"}'
echo 'goroutine 1 [running]:' >&2
exit 1)");
  clock_.WaitForSleep();
  EXPECT_EQ(MessageOf(keeper_->health()),
            "etcd ended with exit code 1: failed to save error=no space left on device");
}

TEST_F(EtcdKeeperTest, AProgramThatCannotBeExecutedIsTriedAgainToo) {
  StartProgram(dir_ / "not-there");
  for (int i = 0; i < 4; ++i) clock_.Advance(clock_.WaitForSleep());
  EXPECT_EQ(MessageOf(keeper_->WaitHealthy({})),
            "etcd did not start 5 times in a row: start etcd: execute " + dir_ / "not-there" +
                ": no such file or directory");
}

TEST_F(EtcdKeeperTest, WhileItStartsThereIsNoHealthAndAStopEndsTheWait) {
  Start("exec sleep 600");
  EXPECT_EQ(keeper_->health().code(), StatusCode::kUnavailable);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(keeper_->WaitHealthy(stop.get_token())));
  keeper_.reset();  // ends the program, or this would take ten minutes
  EXPECT_FALSE(gave_up_);
}

TEST_F(EtcdKeeperTest, EndsDuringAPause) {
  Start("exit 1");
  clock_.WaitForSleep();
  EXPECT_TRUE(absl::IsUnavailable(keeper_->client().status()));
  keeper_.reset();
  EXPECT_FALSE(gave_up_);
}

}  // namespace
}  // namespace holdfast
