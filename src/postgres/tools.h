// pg_dump and pg_restore: where they are, and whether they are new enough.
#pragma once

#include <string>

#include "os/file_system.h"

namespace holdfast::postgres {

struct Tool {
  std::string path;
  int major = 0;
};

// `name` on PATH if it is of version `major` or later, else the newest of Debian's /usr/lib/postgresql/*/bin.
// kFailedPrecondition, with the package to install, if there is none that is new enough: a pg_dump refuses a newer server.
StatusOr<Tool> FindTool(FileSystem& fs, const std::string& name, int major);

// 15 of "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"; 0 if it says something else.
int MajorOf(std::string_view version_line);

}  // namespace holdfast::postgres
