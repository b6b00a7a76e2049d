// A dump of one database at one moment, as pg_restore takes it: pg_dump's archive (custom format, not compressed), in which
// the rows of kine's table are replaced by a binary COPY of our own from the same snapshot of the database. Binary rows are
// half the size of pg_dump's hexadecimal text and cost a third of its time (docs/decisions/2026-11-23-pg-dump.md).
//
//   our connection: BEGIN; pg_export_snapshot() ---id--> pg_dump --snapshot=id --exclude-table-data=kine
//                   COPY kine TO STDOUT (FORMAT binary)     |
//                          |                                |
//   head of the archive, with one more entry <--------------+  1
//   its data block     <---+                                   2
//   the other data blocks <---------------------------------+  3
#pragma once

#include <memory>

#include "datastore/datastore.h"
#include "postgres/endpoint.h"

namespace holdfast::postgres {

StatusOr<std::unique_ptr<DatastoreSnapshot>> BeginDump(FileSystem& fs, const Endpoint& endpoint,
                                                       const TakeOptions& options);

}  // namespace holdfast::postgres
