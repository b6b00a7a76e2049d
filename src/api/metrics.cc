#include "api/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace holdfast {
namespace {

// RKE2's: 15 buckets from 8 ms, each twice the one before.
prometheus::Histogram::BucketBoundaries Buckets() {
  prometheus::Histogram::BucketBoundaries out;
  for (double bound = 0.008; out.size() < 15; bound *= 2) out.push_back(bound);
  return out;
}

double UnixSeconds(absl::Time time) {
  return time == absl::InfinitePast() || time == absl::InfiniteFuture()
             ? 0
             : absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

const char* StatusLabel(const Status& status) { return status.ok() ? "success" : "error"; }

}  // namespace

struct Metrics::Families {
  using Histogram = prometheus::Family<prometheus::Histogram>;
  using Counter = prometheus::Family<prometheus::Counter>;
  using Gauge = prometheus::Gauge;
  using Family = prometheus::Family<prometheus::Gauge>;

  explicit Families(std::string prefix_text) : prefix(std::move(prefix_text)) {}

  Histogram& AddHistogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(prefix + name).Help(help).Register(registry);
  }
  Counter& AddCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(prefix + name).Help(help).Register(registry);
  }
  Gauge& AddGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(prefix + name).Help(help).Register(registry).Add({});
  }
  // Without a value, and so not on the page, until Set() is called.
  Family& AddLateGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(prefix + name).Help(help).Register(registry);
  }
  static void Set(Family& family, double value) { family.Add({}).Set(value); }
  static void Count(Counter& counter, const Status& status) {
    if (status.ok()) return;
    counter.Add({{"reason", std::string(CodeWord(status.code()))}}).Increment();
  }
  void Observe(Histogram& histogram, const Status& status, absl::Duration duration) {
    histogram.Add({{"status", StatusLabel(status)}}, Buckets())
        .Observe(absl::ToDoubleSeconds(duration));
  }

  const std::string prefix;
  prometheus::Registry registry;
  Histogram& save = AddHistogram("etcd_snapshot_save_duration_seconds",
                                 "Total time taken to complete the etcd snapshot process");
  Histogram& save_local = AddHistogram("etcd_snapshot_save_local_duration_seconds",
                                       "Time taken to save a local snapshot file");
  Histogram& save_s3 = AddHistogram("etcd_snapshot_save_s3_duration_seconds",
                                    "Time taken to upload a snapshot file to S3");
  Histogram& reconcile = AddHistogram("etcd_snapshot_reconcile_duration_seconds",
                                      "Total time taken to sync the list of etcd snapshots");
  Histogram& reconcile_local = AddHistogram("etcd_snapshot_reconcile_local_duration_seconds",
                                            "Time taken to list local snapshot files");
  Histogram& reconcile_s3 = AddHistogram("etcd_snapshot_reconcile_s3_duration_seconds",
                                         "Time taken to list S3 snapshots");
  Counter& failures =
      AddCounter("etcd_snapshot_failures_total", "Snapshots that failed, by reason");
  Counter& retention_failures = AddCounter("etcd_snapshot_retention_failures_total",
                                           "Removals of old snapshots that failed, by reason");
  Counter& s3_failures =
      AddCounter("etcd_snapshot_s3_failures_total", "Uploads to S3 that failed, by reason");
  Counter& s3_retention_failures =
      AddCounter("etcd_snapshot_s3_retention_failures_total",
                 "Removals of old snapshots from S3 that failed, by reason");
  Family& s3_last_success =
      AddLateGauge("etcd_snapshot_s3_last_success_timestamp_seconds",
                   "When this node's newest snapshot in S3 was taken; 0: there is none");
  Family& s3_last_size =
      AddLateGauge("etcd_snapshot_s3_last_size_bytes", "Size of this node's newest snapshot in S3");
  Family& s3_count = AddLateGauge("etcd_snapshot_s3_count", "Snapshots of this node in S3");
  Family& s3_owed = AddLateGauge("etcd_snapshot_s3_owed",
                                 "Snapshots of this node that shall be in S3 and are not yet");
  Gauge& last_success = AddGauge("etcd_snapshot_last_success_timestamp_seconds",
                                 "When the newest good snapshot was taken; 0: never");
  Gauge& last_size =
      AddGauge("etcd_snapshot_last_size_bytes", "Size of the newest good snapshot as stored");
  Gauge& count = AddGauge("etcd_snapshot_count", "Snapshots in the snapshot directory");
  Gauge& next_run = AddGauge("etcd_snapshot_next_run_timestamp_seconds",
                             "When the next scheduled snapshot is due; 0: none is scheduled");
  Counter& restarts =
      AddCounter("etcd_restarts_total", "Times etcd ended unexpectedly and was started again");
  Gauge& etcd_up = AddGauge("etcd_healthy", "1 if etcd passed its last health check");
  Family& datastore_up =
      AddLateGauge("datastore_healthy", "1 if the datastore answered when it was last looked at");
};

Metrics::Metrics(std::string_view prefix)
    : families_(std::make_unique<Families>(std::string(prefix))) {
  families_->restarts.Add({});
  // An alert on a rate needs the series to be there before the first failure.
  for (auto* counter : {&families_->failures, &families_->s3_failures})
    counter->Add({{"reason", std::string(CodeWord(StatusCode::kUnavailable))}});
}
Metrics::~Metrics() = default;

void Metrics::OnSaveInDirectory(const Status& status, absl::Duration duration) {
  families_->Observe(families_->save_local, status, duration);
  families_->Count(families_->failures, status);
}

void Metrics::OnUpload(const Status& status, absl::Duration duration) {
  families_->Observe(families_->save_s3, status, duration);
  families_->Count(families_->s3_failures, status);
}

void Metrics::OnSave(const Status& status, absl::Duration duration) {
  families_->Observe(families_->save, status, duration);
}

void Metrics::OnRetention(const Status& status) {
  families_->Count(families_->retention_failures, status);
}

void Metrics::OnS3Retention(const Status& status) {
  families_->Count(families_->s3_retention_failures, status);
}

void Metrics::OnReconcileDirectory(const Status& status, absl::Duration duration) {
  families_->Observe(families_->reconcile_local, status, duration);
}

void Metrics::OnReconcileS3(const Status& status, absl::Duration duration) {
  families_->Observe(families_->reconcile_s3, status, duration);
}

void Metrics::OnReconcile(const Status& status, absl::Duration duration) {
  families_->Observe(families_->reconcile, status, duration);
}

void Metrics::SetSnapshots(std::size_t count, absl::Time newest, std::uint64_t newest_bytes) {
  families_->count.Set(static_cast<double>(count));
  families_->last_success.Set(UnixSeconds(newest));
  families_->last_size.Set(static_cast<double>(newest_bytes));
}

void Metrics::SetS3Snapshots(std::size_t count, absl::Time newest, std::uint64_t newest_bytes) {
  families_->Set(families_->s3_count, static_cast<double>(count));
  families_->Set(families_->s3_last_success, UnixSeconds(newest));
  families_->Set(families_->s3_last_size, static_cast<double>(newest_bytes));
}

void Metrics::SetUploadsOwed(std::size_t count) {
  families_->Set(families_->s3_owed, static_cast<double>(count));
}

void Metrics::SetNextRun(absl::Time next) { families_->next_run.Set(UnixSeconds(next)); }

void Metrics::OnEtcdRestart() { families_->restarts.Add({}).Increment(); }

void Metrics::SetEtcdHealthy(bool healthy) { families_->etcd_up.Set(healthy ? 1 : 0); }

void Metrics::SetDatastoreHealthy(bool healthy) {
  families_->Set(families_->datastore_up, healthy ? 1 : 0);
}

std::string Metrics::Page() const {
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace holdfast
