#include "server/snapshot_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "etcd_cluster/etcd_datastore.h"
#include "os/atomic_file.h"
#include "testing/fake_bucket.h"
#include "testing/fake_clock.h"
#include "testing/fake_etcd.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Strings = std::vector<std::string>;

class SnapshotServiceTest : public ::testing::Test {
 protected:
  SnapshotServiceTest() {
    etcd_->snapshot = testing::WithDigest(testing::MvccBuilder().bolt.Build());
    options_.directory = "/db/snapshots";
    options_.retention = 2;
    options_.s3.on = true;
    options_.s3.options.bucket = "own";
    options_.s3.retention = 1;
  }
  SnapshotService& Service() {
    if (!service_) {
      service_.emplace(SnapshotServiceContext{
          .fs = fs_,
          .clock = clock_,
          .random = SystemRandom(),
          .metrics = metrics_,
          .options = options_,
          .open_s3 = [this](const S3Options& o) -> StatusOr<std::unique_ptr<ObjectStore>> {
            RETURN_IF_ERROR(open_status_);
            opened_.push_back(o);
            return std::make_unique<testing::FakeS3Store>(o.bucket == "own" ? own_ : other_);
          },
          .node = "n1",
          .cluster_id = "c1",
          .token_hash = [] { return "t"; },
          .datastore = [this]() -> StatusOr<std::unique_ptr<Datastore>> {
            return EmbeddedEtcd(etcd_);
          }});
    }
    return *service_;
  }
  StatusOr<SnapshotResult> Save(SnapshotRequest request = {}) {
    clock_.SetNow(clock_.Now() + absl::Seconds(1));
    request.operation = "save";
    return Service().Save(request, [this](const Progress& p) { progress_.push_back(p); });
  }
  void TakeScheduled() {
    clock_.SetNow(clock_.Now() + absl::Seconds(1));
    Service().TakeScheduled({});
  }
  Strings Files() {
    Strings out;
    const auto entries = fs_.List("/db/snapshots");
    if (entries.ok()) {
      for (const DirectoryEntry& entry : *entries) out.push_back(entry.name);
    }
    return out;
  }
  static void Fail(testing::FakeBucket& bucket, const std::string& call, Status status) {
    bucket.fault = [call, status](const std::string& c) {
      return c.starts_with(call) ? status : OkStatus();
    };
  }

  testing::MemoryFs fs_;
  testing::FakeClock clock_;
  Metrics metrics_{"x_"};
  SnapshotOptions options_;
  std::shared_ptr<testing::FakeEtcd> etcd_ = std::make_shared<testing::FakeEtcd>();
  testing::FakeBucket own_, other_;
  Status open_status_;
  std::vector<S3Options> opened_;
  std::vector<Progress> progress_;
  std::optional<SnapshotService> service_;
};

TEST_F(SnapshotServiceTest, AScheduledSnapshotThatNobodyWouldUploadIsAFailure) {
  // No metadata can be written: a file is where their directory should be.
  ASSERT_TRUE(MakeDirectories(fs_, "/db/snapshots", 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(fs_, "/db/.metadata", "", 0600).ok());
  ::testing::internal::CaptureStderr();
  TakeScheduled();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("Failed to take scheduled snapshot"));
  EXPECT_EQ(Files().size(), 1u) << "what was saved stays";
}

TEST_F(SnapshotServiceTest, ASaveIsInBothPlacesAndSaysSoTwice) {
  const SnapshotResult result = Save().value();
  ASSERT_EQ(result.created.size(), 2u);
  EXPECT_EQ(result.created[0], result.created[1]);
  EXPECT_EQ(own_.Names(), Files());
  EXPECT_EQ(progress_.front().step, "");
  EXPECT_EQ(progress_.back().step, "upload");
  EXPECT_THAT(metrics_.Page(),
              HasSubstr("x_etcd_snapshot_save_s3_duration_seconds_count{status=\"success\"} 1"));
}

TEST_F(SnapshotServiceTest, AFailedUploadKeepsTheSnapshotFailsTheSaveAndIsMadeUpFor) {
  Fail(own_, "commit", PermissionDeniedError("AccessDenied"));
  const Status status = Save().status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("is saved in /db/snapshots, but not in S3 (it is tried "
                                           "again every 10m0s): s3://bucket/on-demand-n1-"));
  EXPECT_EQ(Files().size(), 1u);
  std::string page = metrics_.Page();
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_failures_total{reason=\"permission_denied\"} 1"));
  EXPECT_THAT(page,
              HasSubstr("x_etcd_snapshot_save_local_duration_seconds_count{status=\"success\"} 1"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_save_duration_seconds_count{status=\"error\"} 1"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_owed 1"));

  Service().Reconcile({});
  EXPECT_THAT(own_.Names(), IsEmpty());
  Fail(own_, "nothing", OkStatus());
  Service().Reconcile({});
  EXPECT_EQ(own_.Names(), Files());
  page = metrics_.Page();
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_owed 0"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_count 1"));
}

TEST_F(SnapshotServiceTest, NothingIsTakenIfS3CannotBeUsed) {
  open_status_ = NotFoundError("bucket own does not exist");
  const Status status = Save().status();
  EXPECT_EQ(MessageOf(status), "failed to initialize S3 client: bucket own does not exist");
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SnapshotServiceTest, ARequestsOwnS3IsTakenAsItIsAndNotRetried) {
  SnapshotRequest request;
  request.s3 = S3Options{.bucket = "other"};
  options_.s3.options.header_prefix = "K3s";
  ASSERT_TRUE(Save(request).ok());
  EXPECT_EQ(opened_.back().header_prefix, "K3s");
  EXPECT_EQ(other_.Names(), Files());
  Fail(other_, "commit", UnavailableError("503"));
  EXPECT_THAT(MessageOf(Save(request).status()), HasSubstr("nobody tries it again"));
  Service().Reconcile({});
  EXPECT_THAT(own_.Names(), IsEmpty());
  request = {.no_s3 = true};
  EXPECT_EQ(Save(request)->created.size(), 1u);
  Service().Reconcile({});
  EXPECT_THAT(own_.Names(), IsEmpty());
}

TEST_F(SnapshotServiceTest, TheScheduleNeverWaitsForS3AndTheReconcilerUploadsAndPrunes) {
  open_status_ = UnavailableError("S3 is away");
  for (int i = 0; i < 3; ++i) TakeScheduled();
  EXPECT_EQ(Files().size(), 2u) << "retention of the directory";
  EXPECT_THAT(opened_, IsEmpty());
  Service().Reconcile({});
  EXPECT_THAT(metrics_.Page(),
              HasSubstr("x_etcd_snapshot_reconcile_s3_duration_seconds_count{status=\"error\"} 1"));
  open_status_ = OkStatus();
  Service().Reconcile({});
  EXPECT_THAT(own_.Names(), ElementsAre(Files().back())) << "S3 retention is 1";
  TakeScheduled();
  Service().Reconcile({});
  EXPECT_THAT(own_.Names(), ElementsAre(Files().back()));
}

TEST_F(SnapshotServiceTest, WhatS3DoesNotLetGoIsCountedAndNoFailedSave) {
  TakeScheduled();
  Service().Reconcile({});
  Fail(own_, "remove", PermissionDeniedError("AccessDenied"));
  TakeScheduled();
  Service().Reconcile({});
  EXPECT_EQ(own_.Names().size(), 2u);
  EXPECT_THAT(
      metrics_.Page(),
      HasSubstr("x_etcd_snapshot_s3_retention_failures_total{reason=\"permission_denied\"} 1"));
  SnapshotRequest request{.names = {"etcd-snapshot"}};
  request.s3_retention = 1;
  EXPECT_TRUE(Save(request).ok());
  request = {.operation = "prune", .names = {"etcd-snapshot"}};
  EXPECT_TRUE(absl::IsPermissionDenied(Service().Prune(request).status()));
}

TEST_F(SnapshotServiceTest, PruneHasALimitForEachPlace) {
  options_.s3.retention = 0;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Save().ok());
  SnapshotRequest request{.operation = "prune", .names = {"on-demand"}};
  request.retention = 3;
  request.s3_retention = 2;
  const SnapshotResult result = Service().Prune(request).value();
  EXPECT_EQ(result.deleted.size(), 3u);
  EXPECT_EQ(Files().size(), 3u);
  EXPECT_EQ(own_.Names().size(), 2u);
  ASSERT_EQ(result.considered.size(), 2u);
  EXPECT_EQ(result.considered[0].count + result.considered[1].count, 8);
  request.s3_retention.reset();
  request.retention = 1;
  ASSERT_TRUE(Service().Prune(request).ok());
  EXPECT_EQ(own_.Names().size(), 1u) << "a limit for the directory alone holds for both";
}

TEST_F(SnapshotServiceTest, WithoutS3NothingIsOpenedAndNoGaugeIsThere) {
  options_.s3.on.reset();
  ASSERT_TRUE(Save().ok());
  TakeScheduled();
  Service().Reconcile({});
  EXPECT_EQ(Service().List({})->size(), 2u);
  EXPECT_THAT(opened_, IsEmpty());
  EXPECT_THAT(metrics_.Page(), Not(HasSubstr("x_etcd_snapshot_s3_owed")));
}

TEST_F(SnapshotServiceTest, ASaveWaitsWhileLeftoversAreRemoved) {
  options_.s3.on.reset();
  ASSERT_TRUE(Save().ok());
  std::future<Status> save;
  std::atomic<bool> first = true;
  fs_.on_list = [&] {
    if (!first.exchange(false)) return;
    save = std::async(std::launch::async, [&] { return Save().status(); });
    // One that does not wait would end now.
    EXPECT_EQ(save.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  };
  Service().Reconcile({});
  EXPECT_TRUE(save.get().ok());
  EXPECT_EQ(Files().size(), 2u);
}

TEST_F(SnapshotServiceTest, AListWithoutS3IsAnError) {
  ASSERT_TRUE(Save().ok());
  EXPECT_EQ(Service().List({})->size(), 2u);
  Fail(own_, "list", UnavailableError("503"));
  EXPECT_FALSE(Service().List({}).ok()) << "a list must not look complete that is not";
  EXPECT_EQ(Service().List({.no_s3 = true})->size(), 1u);
}

}  // namespace
}  // namespace holdfast
