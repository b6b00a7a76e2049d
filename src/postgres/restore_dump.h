// Brings a dump (dump.h) back through pg_restore, in one transaction: on an error the database is as it was. A database that
// does not exist is created like the dump's (locale, owner, settings), and dropped again on an error; a crash leaves it
// empty, and the next restore goes on from there.
#pragma once

#include "datastore/datastore.h"
#include "postgres/connection.h"

namespace holdfast::postgres {

// The endpoint's database, or, if it does not exist yet, another one of its server.
struct Target {
  std::unique_ptr<Connection> connection;
  bool exists = false;
};
StatusOr<Target> OpenTarget(const Endpoint& endpoint, const PipeWait& wait);

StatusOr<RestorePlan> CheckRestoreDump(FileSystem& fs, const Endpoint& endpoint,
                                       const RestoreOptions& options);

// What only the dump tells (versions, roles) is checked before anything changes; that it is whole (its SHA-256 is that of
// `options.facts`) before the transaction can end.
Status RestoreDump(FileSystem& fs, const Endpoint& endpoint, Source& payload,
                   const RestoreOptions& options);

}  // namespace holdfast::postgres
