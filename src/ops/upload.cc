#include "ops/upload.h"

#include <algorithm>

#include "artifact/naming.h"
#include "base/checksum.h"
#include "base/log.h"
#include "base/text.h"
#include "ops/copy_object.h"
#include "ops/datastores.h"
#include "store/local_store.h"
#include "stream/trailing_digest.h"

namespace holdfast {
namespace {

// What was begun before that and is still not finished, is not going on.
constexpr absl::Duration kUploadTakesMax = absl::Hours(24);

std::map<std::string, std::string> AttributesOf(const SnapshotPlace& place,
                                                const Manifest& manifest) {
  std::map<std::string, std::string> out = {{kNodeNameAttribute, place.node}};
  if (!place.cluster_id.empty()) out[kClusterIdAttribute] = place.cluster_id;
  if (!manifest.token_hash.empty()) out[kTokenHashAttribute] = manifest.token_hash;
  return out;
}

// The name is taken in S3. By this snapshot, if an earlier run was killed or did not hear the last answer.
Status CheckIsOurs(ObjectStore& s3, const SnapshotPlace& place, const UploadRequest& request) {
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> entries, ListCatalog(s3));
  for (const CatalogEntry& entry : entries) {
    if (entry.name != request.name) continue;
    const bool same_owner = entry.cluster_id == place.cluster_id && entry.node_name == place.node;
    const bool same_content =
        entry.bytes == request.manifest.file_bytes &&
        (!entry.manifest || entry.manifest->sha256 == request.manifest.sha256);
    if (same_owner && same_content) return OkStatus();
    return WithHint(AlreadyExistsError("{} is another snapshot of the same name", entry.location),
                    "Give every cluster a folder of its own with --etcd-s3-folder.");
  }
  return OkStatus();  // removed meanwhile; the metadata tell the rest
}

bool IsEtcdSnapshot(const Manifest& manifest) {
  const auto kinds = DatastoreKinds();
  return std::any_of(kinds.begin(), kinds.end(), [&](const DatastoreKind* kind) {
    return kind->is_etcd_snapshot && kind->name == manifest.datastore;
  });
}

// Reads the file once more on its way: is it the one that its manifest describes? The manifest knows the digest of the plain
// payload; of a compressed file only the size is compared here, and its own checksums hold for the rest.
class AsSaved final : public Sink {
 public:
  explicit AsSaved(const Manifest& manifest)  // must outlive this
      : manifest_(manifest),
        hashed_(manifest.compression == Compression::kNone),
        digest_inside_(IsEtcdSnapshot(manifest)) {}

  Status Write(ByteSpan data) override {
    bytes_ += data.size();
    if (!hashed_) return OkStatus();
    if (digest_inside_) return trailing_.Write(data);
    hash_.Update(data);
    return OkStatus();
  }

  Status Finish() override {
    if (bytes_ != manifest_.file_bytes)
      return DataLossError("it has {} bytes, and had {} when it was saved", bytes_,
                           manifest_.file_bytes);
    if (!hashed_) return OkStatus();
    if (digest_inside_) {
      RETURN_IF_ERROR(trailing_.Finish());
      return CheckDigest(trailing_, manifest_.sha256);
    }
    const std::string found = HexOf(hash_.Finish());
    if (manifest_.sha256.empty() || found == manifest_.sha256) return OkStatus();
    return DataLossError("expected sha256 [{}], got [{}]: the snapshot is damaged",
                         manifest_.sha256, found);
  }

 private:
  const Manifest& manifest_;
  const bool hashed_, digest_inside_;
  std::uint64_t bytes_ = 0;
  TrailingDigest trailing_;  // etcd's snapshots carry theirs
  Sha256 hash_;              // of the others
};

Status Upload(const SnapshotPlace& place, LocalStore& local, const UploadRequest& request) {
  ObjectStore& s3 = *place.s3->store;
  ASSIGN_OR_RETURN(const auto original, local.Open(request.name));
  AsSaved as_saved(request.manifest);
  const Status copied = CopyObject(*original, s3, request.name,
                                   {.attributes = AttributesOf(place, request.manifest),
                                    .sink = &as_saved,
                                    .on_progress = request.on_progress,
                                    .stop = request.stop});
  if (absl::IsAlreadyExists(copied)) {
    RETURN_IF_ERROR(CheckIsOurs(s3, place, request));
  } else {
    RETURN_IF_ERROR(copied);
  }
  Manifest manifest = request.manifest;
  manifest.upload_owed.clear();
  RETURN_IF_ERROR(s3.WriteMetadata(request.name, manifest.Encode()), "metadata");
  return OkStatus();
}

// In the directory's manifest; "" for nothing.
void NoteOwed(LocalStore& local, const std::string& name, Manifest manifest, std::string owed) {
  if (manifest.upload_owed == owed) return;
  manifest.upload_owed = std::move(owed);
  // Whoever deleted the snapshot meanwhile has no use for a manifest.
  if (const auto still_there = local.Open(name); absl::IsNotFound(still_there.status())) return;
  const Status noted = local.WriteMetadata(name, manifest.Encode());
  if (!noted.ok())
    LogWarn("The metadata of snapshot {} could not be written: {}", name, MessageOf(noted));
}

// The snapshots of the directory that this node shall upload, the newest first.
StatusOr<std::vector<CatalogEntry>> ListOwed(const SnapshotPlace& place, LocalStore& local) {
  ASSIGN_OR_RETURN(std::vector<CatalogEntry> entries, ListCatalog(local));
  std::erase_if(entries, [&](const CatalogEntry& entry) {
    return !entry.manifest || entry.manifest->upload_owed.empty() ||
           entry.manifest->node != place.node;
  });
  std::reverse(entries.begin(), entries.end());
  return entries;
}

// The entry it would be in the bucket.
CatalogEntry AsInBucket(CatalogEntry entry, const SnapshotPlace& place) {
  entry.cluster_id = place.cluster_id;
  entry.node_name = place.node;
  return entry;
}

// Whether the rule would remove it at once if it were in the bucket too.
bool IsSuperseded(const CatalogEntry& candidate, std::vector<CatalogEntry> in_bucket,
                  const SnapshotPlace& place, const RetentionRule& rule) {
  std::erase_if(in_bucket, [&](const CatalogEntry& e) { return e.name == candidate.name; });
  in_bucket.push_back(AsInBucket(candidate, place));
  const std::vector<std::string> removed = SelectForRemoval(in_bucket, rule);
  return std::find(removed.begin(), removed.end(), candidate.name) != removed.end();
}

}  // namespace

std::unique_ptr<UploadsInFlight::Claim> UploadsInFlight::TryClaim(const std::string& name) {
  const MutexLock lock(mutex_);
  if (!names_.insert(name).second) return nullptr;
  return std::make_unique<Claim>(*this, name);
}

bool UploadsInFlight::Has(const std::string& name) const {
  const MutexLock lock(mutex_);
  return names_.contains(name);
}

void UploadsInFlight::Release(const std::string& name) {
  const MutexLock lock(mutex_);
  names_.erase(name);
}

Status UploadSnapshot(const SnapshotPlace& place, const UploadRequest& request) {
  LocalStore local(place.fs, place.directory);
  const std::string location = place.s3->store->Location(request.name);
  LogInfo("Uploading snapshot {} to {}", request.name, location);
  const Status status = Annotate(Upload(place, local, request), location);
  // A one-off upload that nobody repeats was not owed, and is not afterwards.
  const bool owed = !request.manifest.upload_owed.empty();
  if (status.ok() || owed)
    NoteOwed(local, request.name, request.manifest, status.ok() ? "" : MessageOf(status));
  if (status.ok()) LogInfo("Uploaded snapshot {} to {}", request.name, location);
  return status;
}

StatusOr<std::vector<OwedUpload>> UploadOwed(const SnapshotPlace& place, const RetentionRule& rule,
                                             UploadsInFlight& in_flight, Clock& clock,
                                             std::stop_token stop) {
  std::vector<OwedUpload> out;
  LocalStore local(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<CatalogEntry> owed, ListOwed(place, local));
  if (owed.empty()) return out;
  ASSIGN_OR_RETURN(std::vector<CatalogEntry> in_bucket, ListCatalog(*place.s3->store));
  for (const CatalogEntry& entry : owed) {
    if (stop.stop_requested()) break;
    const auto claim = in_flight.TryClaim(entry.name);
    if (claim == nullptr) continue;
    if (IsSuperseded(entry, in_bucket, place, rule)) {
      LogInfo("Snapshot {} is not uploaded any more: S3 has {} newer ones", entry.name, rule.keep);
      NoteOwed(local, entry.name, *entry.manifest, "");
      continue;
    }
    const absl::Duration start = clock.Steady();
    Status status =
        UploadSnapshot(place, {.name = entry.name, .manifest = *entry.manifest, .stop = stop});
    if (status.ok()) in_bucket.push_back(AsInBucket(entry, place));
    out.push_back({entry.name, std::move(status), clock.Steady() - start});
  }
  return out;
}

namespace {
// This node's, as the manifest in the directory says, which other nodes may share.
bool SavedHere(LocalStore& local, const std::string& name, const std::string& node) {
  const auto text = local.ReadMetadata(name);
  const auto manifest = text.ok() ? Manifest::Decode(*text) : text.status();
  return manifest.ok() && manifest->ours() && manifest->node == node && local.Open(name).ok();
}
}  // namespace

Status RemoveUnfinishedUploads(const SnapshotPlace& place, const UploadsInFlight& in_flight,
                               absl::Time now) {
  LocalStore local(place.fs, place.directory);
  ASSIGN_OR_RETURN(const std::vector<std::string> removed,
                   place.s3->store->RemoveUnfinished([&](std::string_view name, absl::Time since) {
                     const std::string text(name);
                     if (in_flight.Has(text)) return false;
                     if (SavedHere(local, text, place.node)) return true;
                     return since < now - kUploadTakesMax &&
                            (IsNamedForNode(name, place.node) || local.Open(text).ok());
                   }));
  for (const std::string& name : removed)
    LogWarn("ended the upload of {}, left unfinished by an interrupted run",
            place.s3->store->Location(name));
  return OkStatus();
}

}  // namespace holdfast
