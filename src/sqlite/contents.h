// Is a SQLite database whole, and what is in it?
#pragma once

#include <optional>

#include "base/status.h"
#include "datastore/datastore.h"
#include "sqlite/connection.h"

namespace holdfast::sqlite {

// SQLite's integrity_check: every page, every row, every index. kDataLoss with the first of what it found. Its memory is
// bounded, whatever the file holds.
Status CheckIntegrity(Connection& db);

// Is there a table that looks like kine's? Checked are its name and that its columns are plain ones; a view or a virtual
// table that only has the name is none.
StatusOr<bool> HasKineTable(Connection& db);

// No tables, no views, nothing.
StatusOr<bool> IsEmpty(Connection& db);

// Reads the kine table, if there is one, into revision, live keys, content hash and bootstrap of `facts`; else leaves them
// as they are. Values are read in pieces: memory is that of kine::ContentReader.
Status ReadKineFacts(Connection& db, SnapshotFacts& facts);

}  // namespace holdfast::sqlite
