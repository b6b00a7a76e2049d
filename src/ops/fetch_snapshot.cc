#include "ops/fetch_snapshot.h"

#include <optional>

#include "artifact/naming.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "ops/copy_object.h"
#include "restore/find_snapshot.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

// Leaves no doubt that a file of this host is meant.
bool IsPath(const std::string& given) {
  for (const char* start : {"/", "./", "../", "file://"}) {
    if (given.starts_with(start)) return true;
  }
  return false;
}

// Where a snapshot lies.
struct Found {
  std::string path;  // empty: it is the object
  std::unique_ptr<ObjectStore> store;
  std::string name;
};

std::optional<Manifest> DecodeManifest(const StatusOr<std::string>& metadata,
                                       const std::string& location) {
  if (!metadata.ok()) {
    if (!absl::IsNotFound(metadata.status()))
      LogWarn("The metadata of {} cannot be read: {}", location, MessageOf(metadata.status()));
    return std::nullopt;
  }
  auto manifest = Manifest::Decode(*metadata);
  if (!manifest.ok()) return std::nullopt;
  return *std::move(manifest);
}

// What has our manifest is what that speaks of: so long, and later, when all is read, with this digest.
Status Expect(OpenedSnapshot& snapshot) {
  if (!snapshot.manifest || !snapshot.manifest->ours()) return OkStatus();
  ASSIGN_OR_RETURN(const std::uint64_t bytes, snapshot.bytes->Size());
  if (snapshot.manifest->file_bytes != bytes) {
    return DataLossError("{} is not the snapshot that its metadata describe: {} bytes, not {}",
                         snapshot.bytes->path(), bytes, snapshot.manifest->file_bytes);
  }
  snapshot.expected_sha256 = snapshot.manifest->sha256;
  return OkStatus();
}

StatusOr<OpenedSnapshot> OpenObject(ObjectStore& s3, const std::string& name) {
  OpenedSnapshot out;
  ASSIGN_OR_RETURN(out.bytes, s3.Open(name));
  out.manifest = DecodeManifest(s3.ReadMetadata(name), s3.Location(name));
  RETURN_IF_ERROR(Expect(out));
  return out;
}

StatusOr<OpenedSnapshot> OpenFile(FileSystem& fs, const std::string& path) {
  OpenedSnapshot out;
  ASSIGN_OR_RETURN(out.bytes, fs.OpenForRead(path));
  out.manifest = DecodeManifest(LocalStore(fs, DirName(path)).ReadMetadata(BaseName(path)), path);
  RETURN_IF_ERROR(Expect(out));
  return out;
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
StatusOr<Found> FindEither(const FetchRequest& request) {
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
  auto s3 = OpenS3(request.open_s3, options);
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
    return Found{.path = *file, .store = nullptr, .name = name};
  }
  if (!file.ok()) {
    LogInfo("Taking {}; there is no such file", store.Location(name));
    return Found{.path = "", .store = std::move(s3->store), .name = name};
  }
  return WithHint(InvalidArgumentError("{} is both a file and an object: file://{} and {}",
                                       request.given, *file, store.Location(name)),
                  "Give the one you mean in that form.");
}

StatusOr<Found> FindObject(const FetchRequest& request) {
  ASSIGN_OR_RETURN(const S3Name s3_name, ParseS3Name(request.given));
  RETURN_IF_ERROR(CheckFileName(s3_name.name));
  S3Options options = request.s3;
  options.bucket = s3_name.bucket;
  options.folder = s3_name.folder;
  ASSIGN_OR_RETURN(S3Folder s3, OpenS3(request.open_s3, options));
  return Found{.path = "", .store = std::move(s3.store), .name = s3_name.name};
}

StatusOr<Found> Find(const FetchRequest& request) {
  if (IsS3Name(request.given)) return FindObject(request);
  if (request.s3_on && !IsPath(request.given)) return FindEither(request);
  ASSIGN_OR_RETURN(std::string path,
                   FindSnapshot(request.place.fs, request.given, request.place.directory,
                                request.working_directory));
  return Found{.path = std::move(path), .store = nullptr, .name = ""};
}

StatusOr<OpenedSnapshot> Open(const FetchRequest& request, const Found& found) {
  if (!found.path.empty()) return OpenFile(request.place.fs, found.path);
  auto opened = OpenObject(*found.store, found.name);
  RETURN_IF_ERROR(opened.status(), "{}", request.given);
  return opened;
}

// Into the snapshot directory; what is there under that name must be the same.
StatusOr<OpenedSnapshot> Bring(const FetchRequest& request, const Found& found,
                               OpenedSnapshot object) {
  FileSystem& fs = request.place.fs;
  const std::string location = object.bytes->path(),
                    path = JoinPath(request.place.directory, found.name);
  ASSIGN_OR_RETURN(const bool taken, Exists(fs, path));
  if (taken) {
    LogInfo("Comparing {} with {}", path, location);
    ASSIGN_OR_RETURN(auto file, fs.OpenForRead(path));
    ASSIGN_OR_RETURN(const bool same, SameContent(*file, *object.bytes));
    if (!same) {
      return WithHint(
          AlreadyExistsError("{} is another snapshot than {}", path, location),
          fmt::format("Move it out of the way to take the object, or restore it with file://{}.",
                      path));
    }
    LogInfo("{} is here already: {}", location, path);
    object.bytes = std::move(file);
    return object;
  }
  RETURN_IF_ERROR(PrepareDirectory(request.place));
  LocalStore local(fs, request.place.directory);
  LogInfo("Downloading {} to {}", location, request.place.directory);
  CopyOptions copy{.read_soon = true, .stop = request.stop};
  if (request.on_progress)
    copy.on_progress = [&](std::uint64_t done, std::uint64_t total) {
      request.on_progress("Downloading", done, total);
    };
  RETURN_IF_ERROR(CopyObject(*object.bytes, local, found.name, copy), "download {}", location);
  object.downloaded = true;
  if (object.manifest) {
    // Without them the snapshot is as good.
    if (const Status kept = local.WriteMetadata(found.name, object.manifest->Encode()); !kept.ok())
      LogWarn("The metadata of {} were not kept: {}", found.name, MessageOf(kept));
  }
  ASSIGN_OR_RETURN(object.bytes, local.Open(found.name));
  return object;
}

}  // namespace

void RemoveDownload(const SnapshotPlace& place, const OpenedSnapshot& fetched) {
  if (!fetched.downloaded) return;
  const Status removed =
      LocalStore(place.fs, place.directory).Remove(BaseName(fetched.bytes->path()));
  if (!removed.ok()) LogWarn("{}", MessageOf(removed));
}

StatusOr<OpenedSnapshot> OpenSnapshot(const FetchRequest& request) {
  ASSIGN_OR_RETURN(const Found found, Find(request));
  return Open(request, found);
}

StatusOr<OpenedSnapshot> FetchSnapshot(const FetchRequest& request) {
  ASSIGN_OR_RETURN(const Found found, Find(request));
  ASSIGN_OR_RETURN(OpenedSnapshot opened, Open(request, found));
  if (found.store == nullptr) return opened;
  return Bring(request, found, std::move(opened));
}

}  // namespace holdfast
