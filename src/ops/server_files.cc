#include "ops/server_files.h"

#include "base/log.h"
#include "formats/mvcc/inspect.h"
#include "identity/sealed_bootstrap.h"
#include "os/atomic_file.h"

namespace holdfast {

StatusOr<std::optional<BootstrapData>> ReadStoredBootstrap(FileSystem& fs, const DataLayout& layout,
                                                           const Secret& password) {
  const auto file = fs.OpenForRead(layout.etcd_database());
  if (absl::IsNotFound(file.status())) return std::optional<BootstrapData>();
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(**file));
  ASSIGN_OR_RETURN(const mvcc::Inspection found,
                   mvcc::Inspect(database, {.count_live_keys = false, .status_hash = false}));
  return OpenBootstrap(found.bootstrap, password, "the datastore");
}

Status MakeServerFiles(FileSystem& fs, const DataLayout& layout,
                       const ServerFilesOptions& options) {
  RETURN_IF_ERROR(EnsureCas(fs, layout, options.certificates));
  RETURN_IF_ERROR(EnsureLeaves(fs, layout, options.certificates));
  return WriteTokenFiles(fs, layout, options.tokens);
}

Status MakeServerDirectories(FileSystem& fs, const DataLayout& layout) {
  RETURN_IF_ERROR(MakeDirectories(fs, layout.data_dir(), 0755));
  for (const std::string& directory :
       {layout.server(), layout.cred(), layout.tls(), layout.etcd_tls(), layout.db()}) {
    RETURN_IF_ERROR(MakeDirectories(fs, directory, 0700));
    RETURN_IF_ERROR(fs.SetMode(directory, 0700));
  }
  return OkStatus();
}

Status RemoveUnfinishedFiles(FileSystem& fs, const DataLayout& layout) {
  for (const std::string& directory :
       {layout.data_dir(), layout.server(), layout.cred(), layout.tls(), layout.etcd_tls(),
        layout.db(), layout.etcd()}) {
    const auto entries = fs.List(directory);
    if (!entries.ok()) continue;  // whoever needs it will say what is wrong with it
    for (const DirectoryEntry& entry : *entries) {
      if (entry.info.kind != FileKind::kFile || !entry.name.ends_with(kPartSuffix)) continue;
      const std::string path = JoinPath(directory, entry.name);
      RETURN_IF_ERROR(fs.RemoveFile(path));
      LogInfo("removed {}, left unfinished by an interrupted run", path);
    }
  }
  return OkStatus();
}

StatusOr<std::string> WriteNewMemberName(FileSystem& fs, const std::string& path,
                                         const std::string& node, Random& random) {
  std::string name = node + "-" + random.Hex(4);
  RETURN_IF_ERROR(WriteFileAtomically(fs, path, name, 0600));
  return name;
}

}  // namespace holdfast
