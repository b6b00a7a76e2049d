// The files of the bootstrap data (keys/bootstrap.h) on disk: collecting them, and bringing disk and datastore together.
#pragma once

#include <string>
#include <vector>

#include "base/layout.h"
#include "keys/bootstrap.h"
#include "os/file_system.h"

namespace holdfast {

// What of it is on disk now.
StatusOr<BootstrapData> CollectBootstrapFiles(FileSystem& fs, const DataLayout& layout);

// A normal start: the datastore has `stored`. A file that is missing on disk, or older, is written (0600, with the stored
// time); returns the paths. kFailedPrecondition if files on disk are newer by 3 s or more: they may have been changed on
// purpose, so a person must choose; the message names each with both times. Nothing is written then. Not so cred/passwd,
// which every start brings in line with the tokens it is given: a newer one stays, and the datastore gets it.
// Source: K3s pkg/cluster/bootstrap.go (ReconcileBootstrapData).
StatusOr<std::vector<std::string>> ReconcileBootstrapFiles(FileSystem& fs, const DataLayout& layout,
                                                           const BootstrapData& stored);

// A reset: `stored` wins whatever the times are. If that changes a file under tls/, the directory is copied to tls-<unix>
// first; returns the copy's path, or an empty text.
StatusOr<std::string> OverwriteBootstrapFiles(FileSystem& fs, const DataLayout& layout,
                                              const BootstrapData& stored, absl::Time now);

}  // namespace holdfast
