#include "verify/verify_snapshot.h"

#include <optional>
#include <thread>

#include "store/file_sink.h"
#include "stream/decompress.h"
#include "stream/pump.h"
#include "stream/trailing_digest.h"

namespace holdfast {
namespace {

StatusOr<mvcc::Inspection> InspectFile(const RandomAccess& file, std::stop_token stop) {
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(file));
  return mvcc::Inspect(database, {.stop = std::move(stop)});
}

}  // namespace

StatusOr<VerifiedSnapshot> VerifySnapshot(FileSystem& fs, const RandomAccess& file,
                                          const VerifyOptions& options) {
  const std::string& path = file.path();
  VerifiedSnapshot out;
  ASSIGN_OR_RETURN(out.file_bytes, file.Size());
  if (out.file_bytes == 0) return DataLossError("{} is empty", path);
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(file));
  out.compression = source->compression();
  const std::uint64_t total = source->size().value_or(0);

  std::unique_ptr<File> scratch;
  std::optional<FileSink> unpacked;
  TrailingDigest digest;
  std::vector<Sink*> sinks = {&digest};
  StatusOr<mvcc::Inspection> found = CancelledError("not done");
  std::jthread walk;
  if (out.compression == Compression::kNone && !file.IsFar()) {
    // A plain file is walked where it lies, while its digest is computed.
    walk = std::jthread([&](std::stop_token own) { found = InspectFile(file, own); });
  } else {
    ASSIGN_OR_RETURN(scratch, CreateUnnamedFile(fs, options.scratch_directory), "unpack {}", path);
    unpacked.emplace(*scratch, FileSink::Kind::kScratch);
    sinks.push_back(&*unpacked);
  }
  const std::stop_callback stop_walk(options.stop, [&walk] { walk.request_stop(); });
  out.has_digest = total == 0 || SizeHasDigest(total);
  if (!out.has_digest) sinks.erase(sinks.begin());
  PumpOptions pump{.stop = options.stop, .on_progress = {}};
  if (options.on_progress)
    pump.on_progress = [&](std::uint64_t done) { options.on_progress(done, total); };
  if (!sinks.empty()) {
    const Status pumped = Pump(*source, sinks, pump).status();
    if (!pumped.ok() && walk.joinable()) walk.request_stop();
    RETURN_IF_ERROR(pumped, "{}", path);
  }
  if (out.has_digest) {
    RETURN_IF_ERROR(CheckDigest(digest, options.expected_sha256), "{}", path);
    out.sha256 = HexOf(digest.digest());
  }
  if (walk.joinable()) {
    walk.join();
  } else {
    found = InspectFile(*scratch, options.stop);
  }
  ASSIGN_OR_RETURN(out.found, std::move(found));
  // A database is whole pages, of at least 1,024 bytes each; what is left over is a piece of a digest.
  if (!out.has_digest && total % 512 != 0) {
    return DataLossError(
        "{} is cut off or has something behind it: {} bytes are neither a database nor one with "
        "its digest",
        path, total);
  }
  return out;
}

}  // namespace holdfast
