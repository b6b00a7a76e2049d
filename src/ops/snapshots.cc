#include "ops/snapshots.h"

#include <mutex>

#include "artifact/naming.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

Status CheckDirectory(const SnapshotPlace& place) {
  if (place.make_if_missing) return MakeDirectories(place.fs, place.directory, 0700);
  const auto info = place.fs.Stat(place.directory);
  RETURN_IF_ERROR(info.status(), "failed to get etcd-snapshot-dir");
  if (info->kind != FileKind::kDirectory)
    return FailedPreconditionError("{} is not a directory", place.directory);
  return OkStatus();
}

// What is asked about a directory that is not there yet: nothing is in it, if it is ours to make.
Status CheckDirectoryForReading(const SnapshotPlace& place) {
  return place.make_if_missing ? OkStatus() : CheckDirectory(place);
}

SnapshotRecord RecordOf(const CatalogEntry& entry, const std::string& node) {
  SnapshotRecord record{.name = entry.name,
                        .node_name = node,
                        .location = entry.location,
                        .bytes = entry.bytes,
                        .created_at = entry.created_at,
                        .error = entry.error};
  if (entry.manifest) {
    record.metadata = entry.manifest->Fields();
    record.token_hash = entry.manifest->token_hash;
    if (entry.manifest->ours()) record.node_name = entry.manifest->node;
  }
  return record;
}

}  // namespace

StatusOr<CapturedSnapshot> SaveSnapshot(const SnapshotPlace& place, etcd::Client& client,
                                        Clock& clock, Mutex& one_at_a_time,
                                        const SaveRequest& request) {
  RETURN_IF_ERROR(CheckBaseName(request.base));
  const std::unique_lock lock(one_at_a_time, std::try_to_lock);
  if (!lock.owns_lock()) {
    return WithHint(AbortedError("snapshot save already in progress"),
                    "Wait until the other one has ended, then try again.");
  }
  RETURN_IF_ERROR(CheckDirectory(place));
  ASSIGN_OR_RETURN(const etcd::MemberStatus member, client.GetStatus(),
                   "failed to check etcd status for snapshot");
  if (member.is_learner)
    return FailedPreconditionError("Unable to take snapshot: not supported for learner");
  LogInfo("Saving etcd snapshot {} to {}", request.base, place.directory);
  LocalStore store(place.fs, place.directory);
  const absl::Duration start = clock.Steady();
  ASSIGN_OR_RETURN(CapturedSnapshot saved, CaptureSnapshot(client, member, store,
                                                           {.base = request.base,
                                                            .node = place.node,
                                                            .now = clock.Now(),
                                                            .compression = request.compression,
                                                            .token_hash = request.token_hash,
                                                            .stop = request.stop,
                                                            .on_progress = request.on_progress}));
  if (!saved.manifest_status.ok()) {
    LogWarn("Snapshot {} is saved, but its metadata could not be written: {}", saved.name,
            MessageOf(saved.manifest_status));
  }
  LogInfo("Saved etcd snapshot {}: revision {}, {} in {}", saved.name,
          saved.manifest.revision.value_or(0), FormatBytes(saved.manifest.file_bytes),
          FormatGoDuration(absl::Floor(clock.Steady() - start, absl::Milliseconds(1))));
  return saved;
}

StatusOr<std::vector<SnapshotRecord>> ListSnapshots(const SnapshotPlace& place) {
  RETURN_IF_ERROR(CheckDirectoryForReading(place));
  LocalStore store(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(store));
  std::vector<SnapshotRecord> out;
  for (const CatalogEntry& entry : entries) out.push_back(RecordOf(entry, place.node));
  return out;
}

PruneReport PruneSnapshots(const SnapshotPlace& place, const std::string& base, std::int64_t keep) {
  PruneReport report;
  if (report.status = CheckBaseName(base); !report.status.ok()) return report;
  if (report.status = CheckDirectoryForReading(place); !report.status.ok()) return report;
  LocalStore store(place.fs, place.directory);
  const auto entries = ListCatalog(store);
  if (!entries.ok()) {
    report.status = entries.status();
    return report;
  }
  const RetentionRule rule{.base = base, .node = place.node, .keep = keep};
  for (const CatalogEntry& entry : *entries) {
    if (BelongsTo(entry, rule)) ++report.considered;
  }
  for (const std::string& name : SelectForRemoval(*entries, rule)) {
    report.status = store.Remove(name);
    // Somebody else may have removed it in between.
    if (absl::IsNotFound(report.status)) report.status = OkStatus();
    if (!report.status.ok()) return report;
    LogInfo("Removed snapshot {}: {} of base {} are kept", name, keep, base);
    report.deleted.push_back(name);
  }
  return report;
}

DeleteReport DeleteSnapshots(const SnapshotPlace& place, const std::vector<std::string>& names) {
  DeleteReport report;
  for (const std::string& name : names) {
    if (report.status = CheckFileName(name); !report.status.ok()) return report;
  }
  if (report.status = CheckDirectoryForReading(place); !report.status.ok()) return report;
  LocalStore store(place.fs, place.directory);
  for (const std::string& name : names) {
    const Status removed = store.Remove(name);
    if (removed.ok()) {
      LogInfo("Deleted snapshot {}", name);
      report.deleted.push_back(name);
    } else if (absl::IsNotFound(removed)) {
      report.not_found.push_back(name);
    } else if (report.status.ok()) {
      report.status = removed;
    }
  }
  return report;
}

Status CleanSnapshotPlace(const SnapshotPlace& place) {
  LocalStore store(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<std::string> removed,
                   store.RemoveUnfinished(
                       [&](std::string_view name) { return IsNamedForNode(name, place.node); }));
  for (const std::string& name : removed)
    LogWarn("removed {}, left unfinished by an interrupted snapshot", name);
  return OkStatus();
}

}  // namespace holdfast
