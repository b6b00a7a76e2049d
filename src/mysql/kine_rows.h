// Rows of a kine table, read in one consistent view and written in one transaction.
#pragma once

#include <functional>
#include <memory>

#include "datastore/datastore.h"
#include "mysql/connection.h"

namespace holdfast::mysql {

// As Datastore::ReadRows; `connection` has chosen a database with a kine table.
Status ReadKineRows(Connection& connection, Rows which,
                    const std::function<Status(const KeyRow&)>& row, std::stop_token stop);

// As Datastore::WriteRows. The writer owns the connection; `exists`: the database has a kine table already.
StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(std::unique_ptr<Connection> connection,
                                                   Rows which, bool exists);

}  // namespace holdfast::mysql
