// Puts a restored database in the place of the one that was there, so that at every moment, also after a power cut, the old
// or the new one is there and whole, and a new one never meets the -wal or -journal of an old one: SQLite would write the
// pages in it over the new data.
//
//   state.db              the live database
//   state.db.part         the restored one while it is written
//   state.db-old-<t>      what was live before, with its -wal, -shm and -journal if it had any; never removed
//
// Steps, and what a crash after each leaves:
//   1. the new one is written to state.db.part and synced         -> a .part file, which the next restore overwrites
//   2. SQLite folds the old one's -wal into it and removes it     -> the old one, whole, as before
//   3. a -wal or -journal that is still there (the old one is     -> the old one as damaged as it was; what belongs to it
//      damaged: SQLite could not fold it) is set aside                lies at state.db-old-<t>-wal
//   4. state.db-old-<t> becomes a second name of the old one      -> the old one under two names
//   5. state.db.part is renamed over state.db                     -> done
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "os/atomic_file.h"
#include "os/file_system.h"

namespace holdfast::sqlite {

// The files that SQLite keeps beside a database. Source: sqlite.org/tempfiles.html
inline constexpr const char* kCompanions[] = {"-wal", "-shm", "-journal"};

// Steps 3 to 5 with `restored`, which is complete and belongs at `path`. `now` names what is set aside; with a number
// behind if that second is taken. The path of the old database, or "" if there was none.
// On an error everything is where it was, unless its text says otherwise.
StatusOr<std::string> ReplaceDatabase(FileSystem& fs, const std::string& path, AtomicFile restored,
                                      absl::Time now);

}  // namespace holdfast::sqlite
