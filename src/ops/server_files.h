// The files a server needs before etcd can start, brought together with what the datastore knows of them.
#pragma once

#include <optional>
#include <string>

#include "base/layout.h"
#include "identity/certificates.h"
#include "identity/token_files.h"
#include "keys/bootstrap.h"
#include "os/file_system.h"

namespace holdfast {

// The bootstrap data in etcd's database file, while etcd does not run. nullopt if there is no database or it holds none.
// kUnauthenticated: another token sealed them. kDataLoss: the database is damaged.
StatusOr<std::optional<BootstrapData>> ReadStoredBootstrap(FileSystem& fs, const DataLayout& layout,
                                                           const Secret& password);

struct ServerFilesOptions {
  CertificateOptions certificates;
  TokenFileOptions tokens;
};

// Certificates, keys and token files that are missing are made; what is there stays.
Status MakeServerFiles(FileSystem& fs, const DataLayout& layout, const ServerFilesOptions& options);

// The directories of the layout, each with its mode, whatever the umask and whatever they were.
Status MakeServerDirectories(FileSystem& fs, const DataLayout& layout);

// Removes what killed runs left half-written beside these files (os/atomic_file.h); some of it is secret. Only while the
// data directory is locked.
Status RemoveUnfinishedFiles(FileSystem& fs, const DataLayout& layout);

// "<node>-<8 hex>": a member name nobody had before; written to `path` (0600, no newline).
StatusOr<std::string> WriteNewMemberName(FileSystem& fs, const std::string& path,
                                         const std::string& node, Random& random);

}  // namespace holdfast
