// MySQL and MariaDB as a datastore. A snapshot is what `mariadb-dump --single-transaction` prints, so that
// `zstd -d | mariadb --binary-mode` restores it without us; the examiner reads that text as it streams by
// (formats/mysqldump). How a restore stays whole: load.h. For people: docs/operating/mysql.md.
#pragma once

#include "datastore/datastore.h"

namespace holdfast {

const DatastoreKind& MysqlKind();

}  // namespace holdfast
