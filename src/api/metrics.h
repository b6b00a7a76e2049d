// The numbers of /metrics, in Prometheus' text form. Histograms are RKE2's by name and buckets, with the right status;
// gauges for what an alert needs are ours: last success, size, count, next run. docs/operating/monitor.md lists them.
// Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"

namespace holdfast {

class Metrics {
 public:
  // `prefix` is the distribution's: "holdfast_".
  explicit Metrics(std::string_view prefix);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A snapshot into the directory ended so after `duration`. A failure counts under its code's word.
  void OnSaveInDirectory(const Status& status, absl::Duration duration);
  // A copy to S3; one that is tried again counts each time.
  void OnUpload(const Status& status, absl::Duration duration);
  // A save as a whole.
  void OnSave(const Status& status, absl::Duration duration);
  // A retention or prune ended so.
  void OnRetention(const Status& status);
  void OnS3Retention(const Status& status);
  // Directory and bucket were looked at; a reconcile as a whole.
  void OnReconcileDirectory(const Status& status, absl::Duration duration);
  void OnReconcileS3(const Status& status, absl::Duration duration);
  void OnReconcile(const Status& status, absl::Duration duration);
  // What is there: called after each change and each reconcile. `newest` is of ours; InfinitePast if there is none.
  void SetSnapshots(std::size_t count, absl::Time newest, std::uint64_t newest_bytes);
  // The same of this node's copies in S3, and how many are missing there. Not called, there are no such gauges: S3 is off.
  void SetS3Snapshots(std::size_t count, absl::Time newest, std::uint64_t newest_bytes);
  void SetUploadsOwed(std::size_t count);
  // InfiniteFuture: there is no schedule.
  void SetNextRun(absl::Time next);
  void OnEtcdRestart();
  void SetEtcdHealthy(bool healthy);
  // Of a server beside another's datastore; not called, there is no such gauge.
  void SetDatastoreHealthy(bool healthy);

  std::string Page() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace holdfast
