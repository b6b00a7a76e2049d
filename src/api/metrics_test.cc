#include "api/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, BeforeAnythingHappenedGaugesAndCountersAreThereAndZero) {
  const std::string page = Metrics("rke2_").Page();
  for (const char* line :
       {"rke2_etcd_snapshot_count 0\n", "rke2_etcd_snapshot_last_success_timestamp_seconds 0\n",
        "rke2_etcd_snapshot_last_size_bytes 0\n",
        "rke2_etcd_snapshot_next_run_timestamp_seconds 0\n", "rke2_etcd_restarts_total 0\n",
        "rke2_etcd_healthy 0\n", "# TYPE rke2_etcd_snapshot_count gauge\n",
        "# HELP rke2_etcd_snapshot_count "}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(Metrics, ASaveIsCountedByItsStatusAndAFailureByItsReason) {
  Metrics metrics("x_");
  const auto save = [&](const Status& status, absl::Duration duration) {
    metrics.OnSaveInDirectory(status, duration);
    metrics.OnUpload(status, duration);
    metrics.OnSave(status, duration);
  };
  save(OkStatus(), absl::Seconds(2));
  save(OkStatus(), absl::Milliseconds(1));
  save(ResourceExhaustedError("full"), absl::Seconds(1));
  save(DataLossError("bad"), absl::Seconds(1));
  save(DataLossError("bad"), absl::Seconds(1));
  const std::string page = metrics.Page();
  for (const char* name :
       {"x_etcd_snapshot_save_duration_seconds", "x_etcd_snapshot_save_local_duration_seconds",
        "x_etcd_snapshot_save_s3_duration_seconds"}) {
    const std::string n = name;
    EXPECT_THAT(page, HasSubstr(n + "_count{status=\"success\"} 2\n"));
    EXPECT_THAT(page, HasSubstr(n + "_count{status=\"error\"} 3\n"));
    EXPECT_THAT(page, HasSubstr(n + "_sum{status=\"success\"} 2.001\n"));
    EXPECT_THAT(page, HasSubstr(n + "_bucket{status=\"success\",le=\"0.008\"} 1\n"));
    EXPECT_THAT(page, HasSubstr(n + "_bucket{status=\"success\",le=\"131.072\"} 2\n"));
    EXPECT_THAT(page, HasSubstr(n + "_bucket{status=\"success\",le=\"+Inf\"} 2\n"));
    EXPECT_THAT(page, Not(HasSubstr(n + "_bucket{status=\"success\",le=\"262.144\"}")));
  }
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_failures_total{reason=\"resource_exhausted\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_failures_total{reason=\"data_loss\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_failures_total{reason=\"data_loss\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_failures_total{reason=\"unavailable\"} 0\n"));
}

TEST(Metrics, RetentionAndReconcileFailuresAreSeen) {
  Metrics metrics("x_");
  metrics.OnRetention(OkStatus());
  EXPECT_THAT(metrics.Page(), Not(HasSubstr("retention_failures_total{")));
  metrics.OnRetention(PermissionDeniedError("no"));
  metrics.OnS3Retention(PermissionDeniedError("no"));
  metrics.OnReconcileDirectory(OkStatus(), absl::Seconds(1));
  metrics.OnReconcileS3(NotFoundError("gone"), absl::Seconds(1));
  metrics.OnReconcile(NotFoundError("gone"), absl::Seconds(1));
  const std::string page = metrics.Page();
  EXPECT_THAT(
      page,
      HasSubstr("x_etcd_snapshot_retention_failures_total{reason=\"permission_denied\"} 1\n"));
  EXPECT_THAT(
      page,
      HasSubstr("x_etcd_snapshot_s3_retention_failures_total{reason=\"permission_denied\"} 1\n"));
  EXPECT_THAT(
      page, HasSubstr("x_etcd_snapshot_reconcile_s3_duration_seconds_count{status=\"error\"} 1\n"));
  EXPECT_THAT(page,
              HasSubstr("x_etcd_snapshot_reconcile_duration_seconds_count{status=\"error\"} 1\n"));
  EXPECT_THAT(
      page,
      HasSubstr("x_etcd_snapshot_reconcile_local_duration_seconds_count{status=\"success\"} 1\n"));
}

TEST(Metrics, GaugesSayWhatIsThere) {
  Metrics metrics("x_");
  metrics.SetSnapshots(3, absl::FromUnixSeconds(1'753'178'523), 5'988'384);
  metrics.SetNextRun(absl::FromUnixSeconds(1'753'200'000));
  metrics.SetEtcdHealthy(true);
  metrics.OnEtcdRestart();
  std::string page = metrics.Page();
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_count 3\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_last_success_timestamp_seconds 1753178523\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_last_size_bytes 5988384\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_next_run_timestamp_seconds 1753200000\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_healthy 1\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_restarts_total 1\n"));

  // An alert on the age of what is in S3 must not fire where S3 is off.
  EXPECT_THAT(page, Not(HasSubstr("x_etcd_snapshot_s3_count")));
  metrics.SetS3Snapshots(2, absl::FromUnixSeconds(5), 7);
  metrics.SetUploadsOwed(1);
  page = metrics.Page();
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_count 2\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_last_success_timestamp_seconds 5\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_last_size_bytes 7\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_s3_owed 1\n"));

  metrics.SetSnapshots(0, absl::InfinitePast(), 0);
  metrics.SetNextRun(absl::InfiniteFuture());
  metrics.SetEtcdHealthy(false);
  page = metrics.Page();
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_last_success_timestamp_seconds 0\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_snapshot_next_run_timestamp_seconds 0\n"));
  EXPECT_THAT(page, HasSubstr("x_etcd_healthy 0\n"));
}

TEST(Metrics, ManyThreadsMayCountAndLookAtOnce) {
  Metrics metrics("x_");
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics] {
      for (int n = 0; n < 50; ++n) {
        metrics.OnSaveInDirectory(n % 2 == 0 ? OkStatus() : UnavailableError("no"),
                                  absl::Seconds(1));
        metrics.SetSnapshots(1, absl::UnixEpoch(), 1);
        EXPECT_FALSE(metrics.Page().empty());
      }
    });
  }
  threads.clear();
  EXPECT_THAT(metrics.Page(),
              HasSubstr("x_etcd_snapshot_failures_total{reason=\"unavailable\"} 100\n"));
}

}  // namespace
}  // namespace holdfast
