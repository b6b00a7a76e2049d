#include "capture/capture_snapshot.h"

#include <set>

#include "artifact/naming.h"
#include "formats/member/membership.h"
#include "formats/mvcc/stream_observer.h"
#include "stream/pump.h"
#include "stream/trailing_digest.h"
#include "stream/zip_sink.h"
#include "stream/zstd_sink.h"

namespace holdfast {
namespace {

// Checks the digest and looks for the revision. One sink for both, because looking takes a tenth of the time of hashing:
// a thread of its own would cost as much in wake-ups.
class Examiner final : public Sink {
 public:
  Status Write(ByteSpan data) override {
    observer_.Update(data);
    return digest_.Write(data);
  }
  Status Finish() override { return digest_.Finish(); }

  const Sha256Digest& digest() const { return digest_.digest(); }
  std::optional<mvcc::StreamObserver::Result> found() const { return observer_.Finish(); }

 private:
  TrailingDigest digest_;
  mvcc::StreamObserver observer_;
};

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
                                     std::uint64_t bytes_total) {
  switch (options.compression) {
    case Compression::kNone:
      return nullptr;
    case Compression::kZip:
      return std::make_unique<ZipSink>(
          *target.object,
          ZipSinkOptions{.entry_name = std::string(WithoutCompressionSuffix(target.name)),
                         .modified_at = target.created_at,
                         .uncompressed_size_max = bytes_total});
    case Compression::kZstd:
      return std::make_unique<ZstdSink>(*target.object,
                                        ZstdSinkOptions{.content_size = bytes_total});
  }
  return nullptr;
}

}  // namespace

StatusOr<CapturedSnapshot> CaptureSnapshot(etcd::Client& client, const etcd::MemberStatus& member,
                                           ObjectStore& store, const CaptureOptions& options) {
  ASSIGN_OR_RETURN(const auto stream, client.Snapshot(options.stall_timeout, options.stop));
  const std::uint64_t total = stream->bytes_total();
  // How far it will compress is not known; a full disk ends the stream then.
  const bool plain = options.compression == Compression::kNone;
  ASSIGN_OR_RETURN(NamedObject target, CreateObject(store, options, plain ? total : 0));
  if (options.on_named) options.on_named(target.name);
  const auto compressor = MakeCompressor(options, target, total);

  Examiner examiner;
  Sink* const sinks[] = {&examiner, compressor ? compressor.get() : target.object.get()};
  PumpOptions pump{.stop = options.stop, .on_progress = {}};
  if (options.on_progress)
    pump.on_progress = [&](std::uint64_t done) { options.on_progress(done, total); };
  RETURN_IF_ERROR(Pump(*stream, sinks, pump).status());
  RETURN_IF_ERROR(target.object->Commit());

  CapturedSnapshot out{.name = target.name};
  out.manifest = {.base = options.base,
                  .node = options.node,
                  .created_at = target.created_at,
                  .compression = options.compression,
                  .file_bytes = target.object->bytes(),
                  .snapshot_bytes = total,
                  .sha256 = HexOf(examiner.digest()),
                  .cluster_id = MemberIdText(member.cluster_id),
                  .member_id = MemberIdText(member.member_id),
                  .etcd_version = member.version,
                  .token_hash = options.token_hash,
                  .proof = Proof::kDigest,
                  .upload_owed = options.upload_owed};
  if (const auto found = examiner.found()) {
    out.manifest.revision = found->revision;
    out.manifest.compact_revision = found->compact_revision;
  }
  out.manifest_status = store.WriteMetadata(out.name, out.manifest.Encode());
  return out;
}

}  // namespace holdfast
