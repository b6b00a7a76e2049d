// The rows of kine's table, one by one: read for a comparison or a migration, and written by one.
#pragma once

#include "datastore/datastore.h"
#include "postgres/connection.h"

namespace holdfast::postgres {

StatusOr<SnapshotFacts> ReadKineContent(Connection& connection);
Status ReadKineRows(Connection& connection, Rows which,
                    const std::function<Status(const KeyRow&)>& row);

// Makes the table as kine does if there is none; kFailedPrecondition if it holds rows. Nothing stays without Commit(): then,
// and when there is no writer at all, `undo` is called, if it is not empty, after the connection was closed.
StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(std::unique_ptr<Connection> connection,
                                                   Rows which, std::function<void()> undo);

}  // namespace holdfast::postgres
