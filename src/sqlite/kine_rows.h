// Kine's table in SQLite, row by row: for migration.
// Source of its columns, indexes and their types: k3s-io/kine pkg/drivers/sqlite/sqlite.go.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "datastore/datastore.h"
#include "sqlite/connection.h"

namespace holdfast::sqlite {

// In the order of their ids, in one read transaction. kFailedPrecondition if there is no kine table. Memory: two values.
Status ReadKineRows(Connection& db, Rows which, const std::function<Status(const KeyRow&)>& row);

// Begins to write into the database at `path`, which is made if it is not there (0600, in WAL mode as kine wants it; its
// directory 0700). kFailedPrecondition if it holds keys. All is one transaction.
StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(FileSystem& fs, const std::string& path,
                                                   Rows which);

}  // namespace holdfast::sqlite
