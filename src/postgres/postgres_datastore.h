// A database of PostgreSQL as a datastore (datastore/datastore.h). The payload is an archive that pg_restore takes; a kine
// table in it is understood (dump.h).
#pragma once

#include "datastore/datastore.h"

namespace holdfast {

const DatastoreKind& PostgresKind();

}  // namespace holdfast
