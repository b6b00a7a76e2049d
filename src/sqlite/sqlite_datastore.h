// SQLite as a datastore: the state.db of K3s and kine, or any other database file.
//
//   snapshot: live file --online backup, one read transaction--> scratch file without a name --> stream
//                                                                        +--> integrity_check, kine's table -> Facts
//   restore:  stream --> state.db.part --> replace_file.h --> state.db
//
// A payload is one plain SQLite file, restorable with `cp`. Endpoint: sqlite://<path>[?parameters], as kine's; the
// parameters are for whoever runs the database, here they mean nothing. An empty path is kine's default, ./db/state.db.
#pragma once

#include "datastore/datastore.h"

namespace holdfast {

const DatastoreKind& SqliteKind();

}  // namespace holdfast
