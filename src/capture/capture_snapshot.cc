#include "capture/capture_snapshot.h"

#include <algorithm>
#include <limits>
#include <set>

#include "artifact/naming.h"
#include "stream/pump.h"
#include "stream/zip_sink.h"
#include "stream/zstd_sink.h"

namespace holdfast {
namespace {

// The unfinished object under the first free name from `now` on.
struct NamedObject {
  std::string name;
  absl::Time created_at;
  std::unique_ptr<NewObject> object;
};
StatusOr<NamedObject> CreateObject(ObjectStore& store, const CaptureOptions& options,
                                   std::uint64_t bytes_expected) {
  // A second is taken whatever the compression: the order of names stays the order in which they were made.
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> present, store.List());
  std::set<std::string, std::less<>> taken;
  for (const ObjectInfo& object : present) taken.emplace(WithoutCompressionSuffix(object.name));
  for (std::int64_t second = absl::ToUnixSeconds(options.now + absl::Milliseconds(500));;
       ++second) {
    if (taken.contains(SnapshotFileName(options.base, options.node, second, Compression::kNone)))
      continue;
    std::string name = SnapshotFileName(options.base, options.node, second, options.compression);
    auto object = store.Create(name, {.bytes_expected = bytes_expected, .stop = options.stop});
    if (absl::IsAlreadyExists(object.status())) continue;
    if (!object.ok()) return object.status();
    return NamedObject{std::move(name), absl::FromUnixSeconds(second), *std::move(object)};
  }
}

// What stands between the stream and the object; null for none.
std::unique_ptr<Sink> MakeCompressor(const CaptureOptions& options, const NamedObject& target,
                                     std::optional<std::uint64_t> size) {
  switch (options.compression) {
    case Compression::kNone:
      return nullptr;
    case Compression::kZip:
      return std::make_unique<ZipSink>(
          *target.object,
          ZipSinkOptions{
              .entry_name = std::string(WithoutCompressionSuffix(target.name)),
              .modified_at = target.created_at,
              .uncompressed_size_max = size.value_or(std::numeric_limits<std::uint64_t>::max())});
    case Compression::kZstd:
      return std::make_unique<ZstdSink>(*target.object, ZstdSinkOptions{.content_size = size});
  }
  return nullptr;
}

}  // namespace

StatusOr<CapturedSnapshot> CaptureSnapshot(Datastore& datastore, ObjectStore& store,
                                           const CaptureOptions& options) {
  ASSIGN_OR_RETURN(const auto stream,
                   datastore.Snapshot({.scratch_directory = options.scratch_directory,
                                       .stall_timeout = options.stall_timeout,
                                       .stop = options.stop}));
  const std::optional<std::uint64_t> size = stream->size();
  // How far it will compress is not known; a full disk ends the stream then.
  const bool plain = options.compression == Compression::kNone;
  ASSIGN_OR_RETURN(NamedObject target, CreateObject(store, options, plain ? size.value_or(0) : 0));
  if (options.on_named) options.on_named(target.name);
  const auto compressor = MakeCompressor(options, target, size);

  Examiner& examiner = stream->examiner();
  Sink* const sinks[] = {&examiner, compressor ? compressor.get() : target.object.get()};
  PumpOptions pump{.stop = options.stop, .on_progress = {}};
  if (options.on_progress) {
    const std::uint64_t total = stream->size_estimate();
    pump.on_progress = [&, total](std::uint64_t done) {
      options.on_progress(done, total == 0 ? 0 : std::max(done, total));
    };
  }
  ASSIGN_OR_RETURN(const std::uint64_t bytes, Pump(*stream, sinks, pump));
  RETURN_IF_ERROR(target.object->Commit());

  const SnapshotFacts& facts = examiner.facts();
  const DatastoreState& origin = stream->origin();
  CapturedSnapshot out{.name = target.name};
  out.manifest = {.base = options.base,
                  .node = options.node,
                  .created_at = target.created_at,
                  .compression = options.compression,
                  .file_bytes = target.object->bytes(),
                  .snapshot_bytes = bytes,
                  .sha256 = facts.sha256,
                  .revision = facts.revision,
                  .compact_revision = facts.compact_revision,
                  .live_keys = facts.live_keys,
                  .content_hash = facts.content_hash,
                  .datastore = origin.kind,
                  .datastore_version = origin.version,
                  .cluster_id = origin.cluster_id,
                  .member_id = origin.member_id,
                  .token_hash = options.token_hash,
                  .bootstrap = options.bootstrap,
                  .proof = Proof::kDigest,
                  .upload_owed = options.upload_owed};
  out.manifest_status = store.WriteMetadata(out.name, out.manifest.Encode());
  return out;
}

}  // namespace holdfast
