#include "ops/fetch_snapshot.h"

#include <optional>

#include "artifact/manifest.h"
#include "artifact/naming.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "ops/copy_object.h"
#include "restore/find_snapshot.h"
#include "store/local_store.h"
#include "stream/trailing_digest.h"

namespace holdfast {
namespace {

// Leaves no doubt that a file of this host is meant.
bool IsPath(const std::string& given) {
  for (const char* start : {"/", "./", "../", "file://"}) {
    if (given.starts_with(start)) return true;
  }
  return false;
}

// Of an object that has a manifest of ours: are its bytes those that the manifest speaks of?
class ManifestCheck {
 public:
  explicit ManifestCheck(const StatusOr<std::string>& metadata) {
    auto manifest = metadata.ok() ? Manifest::Decode(*metadata) : metadata.status();
    if (manifest.ok() && manifest->ours()) manifest_ = *std::move(manifest);
  }
  // What has to see the bytes; null for nothing. A compressed snapshot is checked by its size, and by what it unpacks to.
  Sink* sink() {
    return manifest_ && manifest_->compression == Compression::kNone ? &digest_ : nullptr;
  }
  Status Check(std::uint64_t bytes) {
    if (!manifest_) return OkStatus();
    if (bytes == manifest_->file_bytes && (!sink() || HexOf(digest_.digest()) == manifest_->sha256))
      return OkStatus();
    return DataLossError("it is not the snapshot that its metadata describe");
  }

 private:
  std::optional<Manifest> manifest_;
  TrailingDigest digest_;
};

StatusOr<FetchedSnapshot> Download(const FetchRequest& request, ObjectStore& s3,
                                   const std::string& name) {
  RETURN_IF_ERROR(PrepareDirectory(request.place));
  LocalStore local(request.place.fs, request.place.directory);
  LogInfo("Downloading {} to {}", s3.Location(name), request.place.directory);
  const auto metadata = s3.ReadMetadata(name);
  if (!metadata.ok() && !absl::IsNotFound(metadata.status()))
    LogWarn("The metadata of {} cannot be read: {}", name, MessageOf(metadata.status()));
  ManifestCheck manifest(metadata);
  CopyOptions copy{.sink = manifest.sink(),
                   .check = [&](std::uint64_t bytes) { return manifest.Check(bytes); },
                   .stop = request.stop};
  if (request.on_progress)
    copy.on_progress = [&](std::uint64_t done, std::uint64_t total) {
      request.on_progress("Downloading", done, total);
    };
  RETURN_IF_ERROR(CopyObject(s3, local, name, copy), "download {}", s3.Location(name));
  if (request.with_metadata && metadata.ok()) {
    // Without them the snapshot is as good.
    if (const Status kept = local.WriteMetadata(name, *metadata); !kept.ok())
      LogWarn("The metadata of {} were not kept: {}", name, MessageOf(kept));
  }
  return FetchedSnapshot{JoinPath(request.place.directory, name), /*downloaded=*/true};
}

// Whether file and object are the same snapshot.
StatusOr<bool> SameAsFile(const FetchRequest& request, const std::string& path,
                          const RandomAccess& object) {
  ASSIGN_OR_RETURN(const auto file, request.place.fs.OpenForRead(path));
  LogInfo("Comparing {} with {}", path, object.path());
  return SameContent(*file, object);
}

StatusOr<FetchedSnapshot> FetchObject(const FetchRequest& request) {
  ASSIGN_OR_RETURN(const S3Name s3_name, ParseS3Name(request.given));
  RETURN_IF_ERROR(CheckFileName(s3_name.name));
  S3Options options = request.s3;
  options.bucket = s3_name.bucket;
  options.folder = s3_name.folder;
  ASSIGN_OR_RETURN(const S3Folder s3, OpenS3(request.open_s3, options));
  ASSIGN_OR_RETURN(const auto object, s3.store->Open(s3_name.name), "{}", request.given);
  const std::string path = JoinPath(request.place.directory, s3_name.name);
  ASSIGN_OR_RETURN(const bool taken, Exists(request.place.fs, path));
  if (!taken) return Download(request, *s3.store, s3_name.name);
  ASSIGN_OR_RETURN(const bool same, SameAsFile(request, path, *object));
  if (same) {
    LogInfo("{} is here already: {}", request.given, path);
    return FetchedSnapshot{path};
  }
  return WithHint(AlreadyExistsError("{} is another snapshot than {}", path, request.given),
                  fmt::format("Move it out of the way to take the object, or restore it with "
                              "file://{}.",
                              path));
}

Status NowhereError(const FetchRequest& request, ObjectStore& s3, const std::string& name) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> newest;
  if (const auto entries = ListCatalog(s3); entries.ok()) {
    for (auto it = entries->rbegin(); it != entries->rend() && newest.size() < kShown; ++it)
      newest.push_back(it->name);
  }
  return WithHint(NotFoundError("there is no snapshot {}: no such file, and no {}", request.given,
                                s3.Location(name)),
                  newest.empty() ? fmt::format("There are no snapshots in {}.", s3.Location(""))
                                 : fmt::format("The newest in {} are: {}.", s3.Location(""),
                                               Join(newest, ", ")));
}

// A name, and S3 is on: a file, or an object.
StatusOr<FetchedSnapshot> FetchEither(const FetchRequest& request) {
  const auto file = FindSnapshot(request.place.fs, request.given, request.place.directory,
                                 request.working_directory);
  if (!file.ok() && !absl::IsNotFound(file.status())) return file.status();
  const std::string name = BaseName(request.given);
  RETURN_IF_ERROR(CheckFileName(name));
  S3Options options = request.s3;
  if (request.given != name) {
    // "sub/NAME" may be in a folder of the folder; "sub/../NAME" is nothing in S3.
    if (("/" + request.given).find("/../") != std::string::npos) return file.status();
    options.folder = JoinPath(options.folder, DirName(request.given));
  }
  const auto s3 = OpenS3(request.open_s3, options);
  if (!s3.ok() && file.ok()) {
    return WithHint(Annotate(s3.status(), fmt::format("whether S3 has another {}", request.given)),
                    fmt::format("To restore the file without asking S3: file://{}.", *file));
  }
  RETURN_IF_ERROR(s3.status());
  ObjectStore& store = *s3->store;
  const auto object = store.Open(name);
  if (!object.ok() && !absl::IsNotFound(object.status())) return object.status();
  if (!object.ok() && !file.ok()) return NowhereError(request, store, name);
  if (!object.ok()) {
    LogInfo("Taking file://{}; there is no {}", *file, store.Location(name));
    return FetchedSnapshot{*file};
  }
  if (!file.ok()) {
    LogInfo("Taking {}; there is no such file", store.Location(name));
    return Download(request, store, name);
  }
  return WithHint(InvalidArgumentError("{} is both a file and an object: file://{} and {}",
                                       request.given, *file, store.Location(name)),
                  "Give the one you mean in that form.");
}

}  // namespace

void RemoveDownload(const SnapshotPlace& place, const FetchedSnapshot& fetched) {
  if (!fetched.downloaded) return;
  const Status removed = LocalStore(place.fs, place.directory).Remove(BaseName(fetched.path));
  if (!removed.ok()) LogWarn("{}", MessageOf(removed));
}

StatusOr<FetchedSnapshot> FetchSnapshot(const FetchRequest& request) {
  if (IsS3Name(request.given)) return FetchObject(request);
  if (request.s3_on && !IsPath(request.given)) return FetchEither(request);
  ASSIGN_OR_RETURN(std::string path,
                   FindSnapshot(request.place.fs, request.given, request.place.directory,
                                request.working_directory));
  return FetchedSnapshot{std::move(path)};
}

}  // namespace holdfast
