#include "server/snapshot_service.h"

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "base/text.h"

namespace holdfast {
namespace {

std::string BaseOf(const SnapshotRequest& request) {
  return request.names.empty() || request.names[0].empty() ? "on-demand" : request.names[0];
}

// An error after part of the work was done says what was done.
Status AfterSome(std::string_view what, const std::vector<std::string>& done,
                 const Status& status) {
  if (status.ok() || done.empty()) return status;
  return Annotate(status, fmt::format("{} {}, then", what, Join(done, ", ")));
}

void Append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

// --- settings ---

std::optional<S3Options> SnapshotService::S3For(const SnapshotRequest& request) const {
  if (request.no_s3) return std::nullopt;
  const S3Settings& own = context_.options.s3;
  if (!request.s3) return own.on.value_or(false) ? std::optional(own.options) : std::nullopt;
  S3Options s3 = *request.s3;
  s3.header_prefix = own.options.header_prefix;
  return s3;
}

bool SnapshotService::IsOwnS3(const S3Options& s3) const {
  const S3Settings& own = context_.options.s3;
  return own.on.value_or(false) && own.options.endpoint == s3.endpoint &&
         own.options.bucket == s3.bucket && own.options.folder == s3.folder;
}

SnapshotPlace SnapshotService::DefaultPlace() const {
  return {.fs = context_.fs,
          .directory = context_.options.directory,
          .make_if_missing = context_.options.is_default_directory,
          .node = context_.node,
          .cluster_id = context_.cluster_id};
}

SnapshotPlace SnapshotService::PlaceOf(const SnapshotRequest& request) const {
  SnapshotPlace place = DefaultPlace();
  if (request.directory && *request.directory != place.directory) {
    place.directory = *request.directory;
    place.make_if_missing = false;
  }
  return place;
}

StatusOr<Compression> SnapshotService::CompressionOf(const SnapshotRequest& request) const {
  if (request.compression) {
    const auto compression = ParseCompression(*request.compression);
    if (!compression)
      return InvalidArgumentError("compression \"{}\" is not one of none, zip, zstd",
                                  *request.compression);
    return *compression;
  }
  const Compression ours = context_.options.compression;
  if (!request.compress) return ours;
  if (!*request.compress) return Compression::kNone;
  return ours == Compression::kNone ? Compression::kZip : ours;
}

// --- for callers ---

StatusOr<SnapshotResult> SnapshotService::Save(
    const SnapshotRequest& request, const std::function<void(const Progress&)>& on_progress) {
  const absl::Duration start = context_.clock.Steady();
  SaveRequest save{.base = BaseOf(request), .stop = context_.stop};
  ASSIGN_OR_RETURN(save.compression, CompressionOf(request));
  save.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    on_progress({.done = done, .total = total});
  };
  SnapshotPlace place = PlaceOf(request);
  // What S3 cannot do is said before a snapshot is taken.
  std::optional<S3Folder> s3;
  if (const auto options = S3For(request)) {
    ASSIGN_OR_RETURN(s3, OpenS3(context_.open_s3, *options));
    place.s3 = &*s3;
    // The reconciler knows no other bucket and no other directory than the server's.
    if (context_.reconciles && IsOwnS3(*options) && place.directory == context_.options.directory)
      save.upload_owed = "the upload has not ended yet";
  }
  auto saved = SaveInDirectory(place, std::move(save));
  Status status = saved.status();
  SnapshotResult result;
  if (status.ok()) {
    result.created = {saved->snapshot.name};
    if (s3) status = Upload(place, *saved, on_progress);
    if (s3 && status.ok()) result.created.push_back(saved->snapshot.name);
    // As in RKE2, a save prunes nothing in the directory, and in S3 only by a limit of its own.
    if (s3 && request.s3_retention.value_or(0) > 0) {
      const PruneReport pruned =
          PruneS3(place, BaseOf(request), *request.s3_retention, context_.clock.Now());
      context_.metrics.OnS3Retention(pruned.status);
      if (!pruned.status.ok())
        LogError("Failed to remove old snapshots from S3: {}", MessageOf(pruned.status));
    }
  }
  if (!absl::IsAborted(status)) context_.metrics.OnSave(status, context_.clock.Steady() - start);
  UpdateGauges();
  if (!status.ok()) LogError("Snapshot {} failed: {}", BaseOf(request), MessageOf(status));
  // The caller did not cancel it, and may try again.
  if (absl::IsCancelled(status)) return UnavailableError("the server is stopping");
  RETURN_IF_ERROR(status);
  return result;
}

StatusOr<SnapshotService::Saved> SnapshotService::SaveInDirectory(const SnapshotPlace& place,
                                                                  SaveRequest request) {
  const absl::Duration start = context_.clock.Steady();
  Saved out;
  request.token_hash = context_.token_hash();
  if (context_.bootstrap) request.bootstrap = context_.bootstrap();
  if (place.s3 != nullptr)
    request.on_named = [&](const std::string& name) { out.claim = uploads_.TryClaim(name); };
  auto saved = [&]() -> StatusOr<CapturedSnapshot> {
    const std::shared_lock not_cleaning(cleaning_);
    ASSIGN_OR_RETURN(const auto datastore, context_.datastore());
    return SaveSnapshot(place, *datastore, context_.clock, one_save_, request);
  }();
  // A refused second save is no failed snapshot: the first one goes on.
  if (!absl::IsAborted(saved.status()))
    context_.metrics.OnSaveInDirectory(saved.status(), context_.clock.Steady() - start);
  RETURN_IF_ERROR(saved.status());
  out.snapshot = *std::move(saved);
  return out;
}

Status SnapshotService::Upload(const SnapshotPlace& place, const Saved& saved,
                               const std::function<void(const Progress&)>& on_progress) {
  const absl::Duration start = context_.clock.Steady();
  const Status status =
      UploadSnapshot(place, {.name = saved.snapshot.name,
                             .manifest = saved.snapshot.manifest,
                             .on_progress =
                                 [&](std::uint64_t done, std::uint64_t total) {
                                   on_progress({.done = done, .total = total, .step = "upload"});
                                 },
                             .stop = context_.stop});
  context_.metrics.OnUpload(status, context_.clock.Steady() - start);
  if (status.ok() || absl::IsCancelled(status)) return status;
  const std::string again =
      saved.snapshot.manifest.upload_owed.empty()
          ? "nobody tries it again: save once more"
          : fmt::format("it is tried again every {}",
                        FormatGoDuration(context_.options.reconcile_interval));
  return Annotate(status, fmt::format("snapshot {} is saved in {}, but not in S3 ({})",
                                      saved.snapshot.name, place.directory, again));
}

StatusOr<SnapshotResult> SnapshotService::Prune(const SnapshotRequest& request) {
  SnapshotPlace place = PlaceOf(request);
  std::optional<S3Folder> s3;
  if (const auto options = S3For(request)) {
    ASSIGN_OR_RETURN(s3, OpenS3(context_.open_s3, *options));
    place.s3 = &*s3;
  }
  PruneReport report =
      PruneDirectory(place, BaseOf(request), request.retention.value_or(context_.options.retention),
                     context_.clock.Now());
  context_.metrics.OnRetention(report.status);
  Status status = report.status;
  if (s3) {
    // A limit that is set for the directory alone holds for both, as in the settings.
    const std::int64_t keep =
        request.s3_retention.value_or(request.retention.value_or(context_.options.s3.retention));
    const PruneReport in_s3 = PruneS3(place, BaseOf(request), keep, context_.clock.Now());
    context_.metrics.OnS3Retention(in_s3.status);
    Append(report.deleted, in_s3.deleted);
    report.considered.insert(report.considered.end(), in_s3.considered.begin(),
                             in_s3.considered.end());
    if (status.ok()) status = in_s3.status;
  }
  UpdateGauges();
  RETURN_IF_ERROR(AfterSome("pruned", report.deleted, status));
  return SnapshotResult{.created = {},
                        .deleted = std::move(report.deleted),
                        .considered = std::move(report.considered)};
}

StatusOr<SnapshotResult> SnapshotService::Delete(const SnapshotRequest& request) {
  if (request.names.empty()) return InvalidArgumentError("no snapshots given for removal");
  SnapshotPlace place = PlaceOf(request);
  std::optional<S3Folder> s3;
  if (const auto options = S3For(request)) {
    ASSIGN_OR_RETURN(s3, OpenS3(context_.open_s3, *options));
    place.s3 = &*s3;
  }
  DeleteReport report = DeleteSnapshots(place, request.names);
  UpdateGauges();
  RETURN_IF_ERROR(AfterSome("deleted", report.deleted, report.status));
  return SnapshotResult{.created = {}, .deleted = std::move(report.deleted)};
}

StatusOr<std::vector<SnapshotRecord>> SnapshotService::List(const SnapshotRequest& request) {
  SnapshotPlace place = PlaceOf(request);
  std::optional<S3Folder> s3;
  if (const auto options = S3For(request)) {
    ASSIGN_OR_RETURN(s3, OpenS3(context_.open_s3, *options));
    place.s3 = &*s3;
  }
  ASSIGN_OR_RETURN(SnapshotList list, ListSnapshots(place));
  RETURN_IF_ERROR(list.s3_status);
  return std::move(list.records);
}

std::optional<absl::Time> SnapshotService::last_snapshot() const {
  const std::int64_t second = last_snapshot_;
  return second == 0 ? std::optional<absl::Time>() : absl::FromUnixSeconds(second);
}

// --- by itself ---

void SnapshotService::StartJobs() {
  reconciler_.emplace(context_.clock, context_.random, context_.options.reconcile_interval,
                      [this](std::stop_token stop) { Reconcile(stop); });
  if (context_.options.schedule) {
    schedule_.emplace(context_.clock, context_.random, context_.metrics, *context_.options.schedule,
                      [this](std::stop_token stop) { TakeScheduled(stop); });
  } else {
    context_.metrics.SetNextRun(absl::InfiniteFuture());
    LogInfo("Scheduled snapshots are disabled");
  }
}

void SnapshotService::TakeScheduled(std::stop_token stop) {
  const SnapshotPlace place = DefaultPlace();
  const bool to_s3 = context_.options.s3.on.value_or(false);
  const absl::Duration start = context_.clock.Steady();
  const auto taken =
      SaveInDirectory(place, {.base = context_.options.base,
                              .compression = context_.options.compression,
                              .upload_owed = to_s3 ? "the upload has not ended yet" : "",
                              .stop = std::move(stop)});
  Status saved = taken.status();
  // Without its manifest nobody knows that it is owed to S3.
  if (saved.ok() && to_s3) saved = taken->snapshot.manifest_status;
  if (!absl::IsAborted(saved)) context_.metrics.OnSave(saved, context_.clock.Steady() - start);
  if (saved.ok()) {
    const PruneReport report = PruneDirectory(place, context_.options.base,
                                              context_.options.retention, context_.clock.Now());
    context_.metrics.OnRetention(report.status);
    if (!report.status.ok())
      LogError("Failed to remove old snapshots: {}", MessageOf(report.status));
    if (to_s3 && reconciler_) reconciler_->Wake();
  } else {
    LogError("Failed to take scheduled snapshot: {}", MessageOf(saved));
  }
  UpdateGauges();
}

void SnapshotService::Reconcile(std::stop_token stop) {
  const absl::Duration start = context_.clock.Steady();
  Status status;
  if (const std::unique_lock lock(cleaning_, std::try_to_lock); lock.owns_lock())
    status = CleanSnapshotPlace(DefaultPlace());
  if (status.ok()) status = LookAtDirectory();
  if (!status.ok()) LogError("Failed to look at the snapshots: {}", MessageOf(status));
  context_.metrics.OnReconcileDirectory(status, context_.clock.Steady() - start);
  if (context_.options.s3.on.value_or(false)) {
    const Status s3 = ReconcileS3(std::move(stop));
    if (!s3.ok() && !absl::IsCancelled(s3)) {
      LogError("Failed to bring S3 up to date, next try in {}: {}",
               FormatGoDuration(context_.options.reconcile_interval), MessageOf(s3));
    }
    if (status.ok()) status = s3;
    UpdateGauges();
  }
  context_.metrics.OnReconcile(status, context_.clock.Steady() - start);
}

Status SnapshotService::ReconcileS3(std::stop_token stop) {
  const absl::Duration start = context_.clock.Steady();
  const auto s3 = OpenS3(context_.open_s3, context_.options.s3.options);
  if (!s3.ok()) context_.metrics.OnReconcileS3(s3.status(), context_.clock.Steady() - start);
  RETURN_IF_ERROR(s3.status());
  SnapshotPlace place = DefaultPlace();
  place.s3 = &*s3;
  if (const Status cleaned = RemoveUnfinishedUploads(place, uploads_, context_.clock.Now());
      !cleaned.ok())
    LogError("Failed to end unfinished uploads: {}", MessageOf(cleaned));
  const auto tried = UploadOwed(
      place,
      S3Rule(place, context_.options.base, context_.options.s3.retention, context_.clock.Now()),
      uploads_, context_.clock, std::move(stop));
  Status status = tried.status();
  for (const OwedUpload& upload : tried.ok() ? *tried : std::vector<OwedUpload>()) {
    context_.metrics.OnUpload(upload.status, upload.took);
    if (status.ok()) status = upload.status;
  }
  if (tried.ok() && !tried->empty()) PruneScheduledS3(place);
  const absl::Duration look = context_.clock.Steady();
  const auto summary = SummarizeS3(place, context_.clock.Now());
  context_.metrics.OnReconcileS3(summary.status(), context_.clock.Steady() - look);
  if (summary.ok())
    context_.metrics.SetS3Snapshots(summary->count, summary->newest, summary->newest_bytes);
  return status.ok() ? summary.status() : status;
}

void SnapshotService::PruneScheduledS3(const SnapshotPlace& place) {
  const PruneReport report =
      PruneS3(place, context_.options.base, context_.options.s3.retention, context_.clock.Now());
  context_.metrics.OnS3Retention(report.status);
  if (!report.status.ok())
    LogError("Failed to remove old snapshots from S3: {}", MessageOf(report.status));
}

// --- gauges ---

void SnapshotService::UpdateGauges() {
  if (const Status looked = LookAtDirectory(); !looked.ok())
    LogError("Failed to look at the snapshots: {}", MessageOf(looked));
}

Status SnapshotService::LookAtDirectory() {
  ASSIGN_OR_RETURN(const SnapshotSummary summary,
                   SummarizeDirectory(DefaultPlace(), context_.clock.Now()));
  context_.metrics.SetSnapshots(summary.count, summary.newest, summary.newest_bytes);
  last_snapshot_ = summary.newest == absl::InfinitePast() ? 0 : absl::ToUnixSeconds(summary.newest);
  if (context_.options.s3.on.value_or(false)) context_.metrics.SetUploadsOwed(summary.owed);
  return OkStatus();
}

}  // namespace holdfast
