// A database in a file without a name: whatever happens, nothing stays behind. SQLite knows files by names only, so it is
// given one for as long as it takes to open it.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "os/file_system.h"
#include "sqlite/connection.h"

namespace holdfast::sqlite {

struct ScratchDatabase {
  std::unique_ptr<File> file;  // its bytes; empty at first
  // Views of them. None has looked at the file yet: the readers, for a thread each, must not be used before all is written.
  std::unique_ptr<Connection> writer, reader, second_reader;
};

// `directory` is one of the kernel's; `fs` makes and removes the name. A crash between the two leaves an empty
// ".holdfast-<pid>-<n>.part". What runs on the connections ends soon after a stop request.
StatusOr<ScratchDatabase> MakeScratchDatabase(FileSystem& fs, const std::string& directory,
                                              std::stop_token stop);

}  // namespace holdfast::sqlite
