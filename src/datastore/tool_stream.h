// A database's own tool at work for us: pg_dump, pg_restore, mariadb-dump, mariadb. Its standard output is our Source, or
// our Sink its standard input; what it says on stderr is kept for the error. The tool cannot outlive us (os/process.h).
// Passwords go by environment or by a file that only we can read, never by its arguments. It is killed when the thread that
// started it ends.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "stream/stream.h"

namespace holdfast {

struct ToolOptions {
  std::vector<std::string> argv;              // argv[0] is the program's path (FindProgram)
  std::vector<std::string> environment = {};  // "NAME=VALUE", instead of ours; may hold secrets
  std::stop_token stop = {};                  // kills it; Read or Write then give kCancelled
  // Nothing moved for so long: killed, kDeadlineExceeded.
  absl::Duration stall_timeout = absl::Minutes(10);
};

// What it prints. The Read() that gives 0 comes only after it ended with exit code 0; another end is an error with the last
// lines that it wrote to stderr.
StatusOr<std::unique_ptr<Source>> ReadFromTool(const ToolOptions& options);

// What it is fed with. Finish() closes its standard input and waits for its end; an exit code other than 0, or an end before
// all was taken, is an error with its last lines on stderr. Without Finish() it is killed and never sees the end of its
// input.
StatusOr<std::unique_ptr<Sink>> WriteToTool(const ToolOptions& options);

}  // namespace holdfast
