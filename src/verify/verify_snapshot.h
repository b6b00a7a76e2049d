// Is a snapshot good, and what is in it? Recomputes its digest and walks its whole structure, both at once.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "formats/mvcc/inspect.h"
#include "os/file_system.h"
#include "stream/compression.h"

namespace holdfast {

struct VerifiedSnapshot {
  Compression compression = Compression::kNone;
  std::uint64_t file_bytes = 0;
  // A copy of a database file has none: then only the structure was checked.
  bool has_digest = false;
  std::string sha256;  // hex, of the database; empty without digest
  mvcc::Inspection found;
};

struct VerifyOptions {
  // What is compressed or far is unpacked here for the walk (a file that is removed again). Needs the space of the database.
  std::string scratch_directory;
  // What the digest must be, in hex, if somebody wrote it down; empty: nobody did.
  std::string expected_sha256;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
  std::stop_token stop;
};

// kDataLoss says what is broken and where.
StatusOr<VerifiedSnapshot> VerifySnapshot(FileSystem& fs, const RandomAccess& file,
                                          const VerifyOptions& options);

}  // namespace holdfast
