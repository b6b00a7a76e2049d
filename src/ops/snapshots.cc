#include "ops/snapshots.h"

#include <algorithm>
#include <mutex>
#include <tuple>

#include "artifact/naming.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

// What is asked about a directory that is not there yet: nothing is in it, if it is ours to make.
Status CheckDirectoryForReading(const SnapshotPlace& place) {
  return place.make_if_missing ? OkStatus() : PrepareDirectory(place);
}

// `node` is whose it is unless it says more.
SnapshotRecord RecordOf(const CatalogEntry& entry, const std::string& node) {
  SnapshotRecord record{.name = entry.name,
                        .node_name = entry.node_name.empty() ? node : entry.node_name,
                        .location = entry.location,
                        .bytes = entry.bytes,
                        .created_at = entry.created_at,
                        .token_hash = entry.token_hash,
                        .cluster_id = entry.cluster_id,
                        .error = entry.error};
  if (entry.manifest) {
    record.metadata = entry.manifest->Fields();
    if (record.token_hash.empty()) record.token_hash = entry.manifest->token_hash;
    if (entry.manifest->ours() && entry.node_name.empty()) record.node_name = entry.manifest->node;
    if (!entry.manifest->upload_owed.empty())
      record.error = fmt::format("not in S3: {}", entry.manifest->upload_owed);
  }
  return record;
}

Status ListCopies(const S3Folder& s3, std::vector<SnapshotRecord>& out) {
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(*s3.store));
  S3Options shown = s3.options;
  shown.access_key.clear();
  shown.secret_key = shown.session_token = Secret();
  shown.proxy.clear();
  for (const CatalogEntry& entry : entries) {
    out.push_back(RecordOf(entry, "s3"));
    out.back().s3 = shown;
  }
  return OkStatus();
}

// One place, by the rule.
PruneReport Prune(ObjectStore& store, const RetentionRule& rule, bool go_on_after_errors) {
  PruneReport report;
  if (report.status = CheckBaseName(rule.base); !report.status.ok()) return report;
  const auto entries = ListCatalog(store);
  report.status = entries.status();
  if (!entries.ok()) return report;
  const auto counted = std::count_if(entries->begin(), entries->end(),
                                     [&](const CatalogEntry& e) { return BelongsTo(e, rule); });
  report.considered = {{.place = store.Location(""), .count = counted, .limit = rule.keep}};
  for (const CatalogEntry& entry : *entries) {
    if (!entry.owner_known && IsNamedFor(entry.name, rule.base, rule.node))
      LogWarn("{} is not counted, whoever it belongs to: {}", entry.location, entry.error);
    RetentionRule whenever = rule;
    whenever.now = absl::InfiniteFuture();
    if (IsAheadOfTime(entry, rule.now) && BelongsTo(entry, whenever)) {
      LogWarn("{} is dated {}, which is to come: it is not counted, nor removed until then",
              entry.location, FormatRfc3339Utc(entry.created_at));
    }
  }
  for (const std::string& name : SelectForRemoval(*entries, rule)) {
    const Status removed = store.Remove(name);
    // Somebody else may have removed it in between.
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      if (report.status.ok()) report.status = removed;
      if (!go_on_after_errors) return report;
      continue;
    }
    LogInfo("Removed snapshot {}{}: {} of base {} are kept", name,
            rule.cluster_id ? " from S3" : "", rule.keep, rule.base);
    report.deleted.push_back(name);
  }
  return report;
}

// Other nodes of our cluster may be gone, and what says nothing is nobody's; another cluster may still need its own. A host
// where no server has been is of no cluster.
Status RemoveFrom(ObjectStore& store, const std::string& name, const std::string& cluster_id) {
  const auto attributes = store.ReadAttributes(name);
  // Metadata without an object are removed too.
  if (!attributes.ok() && !absl::IsNotFound(attributes.status())) return attributes.status();
  if (attributes.ok() && !cluster_id.empty()) {
    const auto of = [&](const char* what) {
      const auto it = attributes->find(what);
      return it == attributes->end() ? std::string() : it->second;
    };
    const std::string owner = of(kClusterIdAttribute);
    if (!owner.empty() && owner != cluster_id) {
      return WithHint(
          FailedPreconditionError("{} is not deleted: it belongs to another cluster ({}, node {})",
                                  store.Location(name), owner, of(kNodeNameAttribute)),
          "Delete it there; if that cluster is gone, with the tools of the S3 service.");
    }
  }
  return store.Remove(name);
}

}  // namespace

Status PrepareDirectory(const SnapshotPlace& place) {
  if (place.make_if_missing) return MakeDirectories(place.fs, place.directory, 0700);
  const auto info = place.fs.Stat(place.directory);
  RETURN_IF_ERROR(info.status(), "failed to get etcd-snapshot-dir");
  if (info->kind != FileKind::kDirectory)
    return FailedPreconditionError("{} is not a directory", place.directory);
  return OkStatus();
}

StatusOr<CapturedSnapshot> SaveSnapshot(const SnapshotPlace& place, Datastore& datastore,
                                        Clock& clock, Mutex& one_at_a_time,
                                        const SaveRequest& request) {
  RETURN_IF_ERROR(CheckBaseName(request.base));
  const std::unique_lock lock(one_at_a_time, std::try_to_lock);
  if (!lock.owns_lock()) {
    return WithHint(AbortedError("snapshot save already in progress"),
                    "Wait until the other one has ended, then try again.");
  }
  RETURN_IF_ERROR(PrepareDirectory(place));
  LogInfo("Saving snapshot {} to {}", request.base, place.directory);
  LocalStore store(place.fs, place.directory);
  const absl::Duration start = clock.Steady();
  ASSIGN_OR_RETURN(CapturedSnapshot saved, CaptureSnapshot(datastore, store,
                                                           {.base = request.base,
                                                            .node = place.node,
                                                            .now = clock.Now(),
                                                            .compression = request.compression,
                                                            .token_hash = request.token_hash,
                                                            .bootstrap = request.bootstrap,
                                                            .upload_owed = request.upload_owed,
                                                            .on_named = request.on_named,
                                                            .scratch_directory = place.directory,
                                                            .stop = request.stop,
                                                            .on_progress = request.on_progress}));
  if (!saved.manifest_status.ok()) {
    LogWarn("Snapshot {} is saved, but its metadata could not be written: {}", saved.name,
            MessageOf(saved.manifest_status));
  }
  const Manifest& m = saved.manifest;
  LogInfo("Saved {} snapshot {}: {}{} in {}", m.datastore, saved.name,
          m.revision ? fmt::format("revision {}, ", *m.revision) : "", FormatBytes(m.file_bytes),
          FormatGoDuration(absl::Floor(clock.Steady() - start, absl::Milliseconds(1))));
  return saved;
}

StatusOr<SnapshotList> ListSnapshots(const SnapshotPlace& place) {
  RETURN_IF_ERROR(CheckDirectoryForReading(place));
  LocalStore store(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(store));
  SnapshotList out;
  for (const CatalogEntry& entry : entries) out.records.push_back(RecordOf(entry, place.node));
  if (place.s3 != nullptr) out.s3_status = ListCopies(*place.s3, out.records);
  std::sort(out.records.begin(), out.records.end(),
            [](const SnapshotRecord& a, const SnapshotRecord& b) {
              return std::tie(a.created_at, a.name, a.location) <
                     std::tie(b.created_at, b.name, b.location);
            });
  return out;
}

StatusOr<SnapshotSummary> SummarizeDirectory(const SnapshotPlace& place, absl::Time now) {
  RETURN_IF_ERROR(CheckDirectoryForReading(place));
  LocalStore store(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(store));
  SnapshotSummary out{.count = entries.size()};
  for (const CatalogEntry& entry : entries) {
    if (!entry.manifest || !entry.manifest->ours()) continue;  // foreign, or not proven
    if (!IsAheadOfTime(entry, now)) {
      out.newest = entry.created_at;
      out.newest_bytes = entry.bytes;
    }
    if (!entry.manifest->upload_owed.empty()) ++out.owed;
  }
  return out;
}

StatusOr<SnapshotSummary> SummarizeS3(const SnapshotPlace& place, absl::Time now) {
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(*place.s3->store));
  SnapshotSummary out;
  for (const CatalogEntry& entry : entries) {
    if (entry.cluster_id != place.cluster_id || entry.node_name != place.node) continue;
    ++out.count;
    if (IsAheadOfTime(entry, now)) continue;
    out.newest = entry.created_at;
    out.newest_bytes = entry.bytes;
  }
  return out;
}

PruneReport PruneDirectory(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                           absl::Time now) {
  if (const Status status = CheckDirectoryForReading(place); !status.ok())
    return {.deleted = {}, .considered = {}, .status = status};
  LocalStore store(place.fs, place.directory);
  return Prune(store, {.base = base, .node = place.node, .keep = keep, .now = now},
               /*go_on_after_errors=*/false);
}

RetentionRule S3Rule(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                     absl::Time now) {
  return {
      .base = base, .node = place.node, .keep = keep, .cluster_id = place.cluster_id, .now = now};
}

PruneReport PruneS3(const SnapshotPlace& place, const std::string& base, std::int64_t keep,
                    absl::Time now) {
  return Prune(*place.s3->store, S3Rule(place, base, keep, now), /*go_on_after_errors=*/true);
}

DeleteReport DeleteSnapshots(const SnapshotPlace& place, const std::vector<std::string>& names) {
  DeleteReport report;
  for (const std::string& name : names) {
    if (report.status = CheckFileName(name); !report.status.ok()) return report;
  }
  if (report.status = CheckDirectoryForReading(place); !report.status.ok()) return report;
  LocalStore directory(place.fs, place.directory);
  std::vector<ObjectStore*> stores = {&directory};
  if (place.s3 != nullptr) stores.push_back(place.s3->store.get());
  for (const std::string& name : names) {
    bool found = false;
    for (ObjectStore* store : stores) {
      const Status removed = RemoveFrom(*store, name, place.cluster_id);
      found = found || !absl::IsNotFound(removed);
      if (removed.ok()) {
        LogInfo("Deleted snapshot {}{}", name, store == &directory ? "" : " from S3");
        report.deleted.push_back(name);
      } else if (!absl::IsNotFound(removed) && report.status.ok()) {
        report.status = removed;
      }
    }
    if (!found) report.not_found.push_back(name);
  }
  return report;
}

Status CleanSnapshotPlace(const SnapshotPlace& place) {
  LocalStore store(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<std::string> removed,
                   store.RemoveUnfinished([&](std::string_view name, absl::Time) {
                     return IsNamedForNode(name, place.node);
                   }));
  for (const std::string& name : removed)
    LogWarn("removed {}, left unfinished by an interrupted snapshot", name);
  return OkStatus();
}

}  // namespace holdfast
