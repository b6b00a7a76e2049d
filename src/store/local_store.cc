#include "store/local_store.h"

#include "base/path.h"
#include "os/atomic_file.h"
#include "store/file_sink.h"

namespace holdfast {
namespace {

constexpr std::uint32_t kDirectoryMode = 0700, kFileMode = 0600;
constexpr std::uint64_t kMetadataBytesMax = 1 * kMiB;

class NewFile final : public NewObject {
 public:
  NewFile(AtomicFile file, FileSink::Kind kind)
      : file_(std::move(file)), sink_(file_.file(), kind) {}
  Status Write(ByteSpan data) override { return sink_.Write(data); }
  Status Finish() override { return sink_.Finish(); }
  Status Commit() override { return file_.CommitNew(); }
  std::uint64_t bytes() const override { return sink_.bytes(); }

 private:
  AtomicFile file_;
  FileSink sink_;
};

bool IsUnfinished(std::string_view name) { return name.ends_with(kPartSuffix); }

Status CheckName(const std::string& name) {
  if (IsPlainFileName(name) && !IsUnfinished(name)) return OkStatus();
  return InvalidArgumentError("\"{}\" cannot be the name of a snapshot", name);
}

}  // namespace

LocalStore::LocalStore(FileSystem& fs, std::string directory)
    : fs_(&fs),
      directory_(std::move(directory)),
      metadata_directory_(JoinPath(DirName(directory_), ".metadata")) {}

std::string LocalStore::PathOf(const std::string& name) const { return JoinPath(directory_, name); }

std::string LocalStore::MetadataPathOf(const std::string& name) const {
  return JoinPath(metadata_directory_, name);
}

std::string LocalStore::Location(const std::string& name) const { return "file://" + PathOf(name); }

StatusOr<std::unique_ptr<NewObject>> LocalStore::Create(const std::string& name,
                                                        const CreateOptions& options) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const bool taken, Exists(*fs_, PathOf(name)));
  if (taken) return AlreadyExistsError("{} exists", PathOf(name));
  if (options.bytes_expected > 0) {
    ASSIGN_OR_RETURN(const std::uint64_t free, fs_->FreeSpace(directory_));
    if (free < options.bytes_expected) {
      return ResourceExhaustedError("no space for {}: {} bytes are needed, {} are free in {}", name,
                                    options.bytes_expected, free, directory_);
    }
  }
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(*fs_, PathOf(name), kFileMode));
  return std::make_unique<NewFile>(
      std::move(file), options.read_soon ? FileSink::Kind::kDurable : FileSink::Kind::kArchive);
}

StatusOr<std::unique_ptr<RandomAccess>> LocalStore::Open(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(std::unique_ptr<RandomAccess> file, fs_->OpenForRead(PathOf(name)));
  return file;
}

StatusOr<std::vector<ObjectInfo>> LocalStore::List() {
  auto entries = fs_->List(directory_);
  if (absl::IsNotFound(entries.status())) return std::vector<ObjectInfo>();
  if (!entries.ok()) return entries.status();
  std::vector<ObjectInfo> out;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.info.kind != FileKind::kFile || entry.name.starts_with('.') ||
        IsUnfinished(entry.name))
      continue;
    out.push_back({.name = entry.name,
                   .bytes = entry.info.size_bytes,
                   .modified_at = entry.info.modified_at,
                   .metadata = ReadMetadata(entry.name)});
  }
  return out;
}

Status LocalStore::Remove(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  const Status removed = fs_->RemoveFile(PathOf(name));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  const Status metadata = fs_->RemoveFile(MetadataPathOf(name));
  if (!metadata.ok() && !absl::IsNotFound(metadata)) return metadata;
  if (removed.ok()) RETURN_IF_ERROR(fs_->SyncDirectory(directory_));
  return removed;
}

StatusOr<std::map<std::string, std::string>> LocalStore::ReadAttributes(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(fs_->Stat(PathOf(name)).status());
  return std::map<std::string, std::string>();
}

StatusOr<std::string> LocalStore::ReadMetadata(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  return ReadFile(*fs_, MetadataPathOf(name), kMetadataBytesMax);
}

Status LocalStore::WriteMetadata(const std::string& name, std::string_view text) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(MakeDirectories(*fs_, metadata_directory_, kDirectoryMode));
  return WriteFileAtomically(*fs_, MetadataPathOf(name), text, kFileMode);
}

StatusOr<std::vector<std::string>> LocalStore::RemoveUnfinished(const IsOurs& is_ours) {
  std::vector<std::string> removed;
  for (const std::string& directory : {directory_, metadata_directory_}) {
    const auto entries = fs_->List(directory);
    if (absl::IsNotFound(entries.status())) continue;
    if (!entries.ok()) return entries.status();
    for (const DirectoryEntry& entry : *entries) {
      if (entry.info.kind != FileKind::kFile || !IsUnfinished(entry.name)) continue;
      const auto name =
          std::string_view(entry.name).substr(0, entry.name.size() - kPartSuffix.size());
      if (!is_ours(name, entry.info.modified_at)) continue;
      RETURN_IF_ERROR(fs_->RemoveFile(JoinPath(directory, entry.name)));
      removed.push_back(entry.name);
    }
  }
  return removed;
}

}  // namespace holdfast
