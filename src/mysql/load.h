// Brings a dump into a database. MySQL commits each CREATE TABLE by itself, so no transaction can hold a restore. Instead:
//
//   with the right to make databases (staged):
//     dump --> <database>_holdfast_<time> --RENAME TABLE, one statement--> <database> --> <database>_holdfast_<time>_old
//   and then both are dropped, the latter with the old tables. They need a database of their own: where the new ones are,
//   the names of their foreign keys are taken.
//   Until that statement the database is as it was, whatever fails; after it, as restored. Views, triggers, routines and
//   events cannot be renamed: where there are any, on either side, the database is emptied when the dump has been loaded
//   well, and filled from there by the same tools.
//
//   without it (direct): the database is emptied and the dump loaded into it; if that fails it is emptied again.
//
// A foreign key of another database into this one would follow the old table, so a restore is refused where there is one.
//
// A crash leaves: staged, the database untouched or restored (or, with views etc., incomplete) and the others, which the
// next Describe() names; direct: an incomplete database.
#pragma once

#include "datastore/datastore.h"
#include "mysql/database.h"

namespace holdfast::mysql {

struct LoadPlan {
  bool staged = false;
  DumpParts parts;                 // that our account may read where it is staged
  std::string staging;             // that database's name
  std::string aside;               // of the one for the old tables
  bool create = false;             // the database is not there
  std::optional<Contents> old;     // what it holds, if it is there
  std::vector<std::string> lines;  // RestorePlan::lines
};

// All checks before anything changes (Datastore::CheckRestore). `server` has no database chosen.
StatusOr<LoadPlan> PlanLoad(Connection& server, const Endpoint& endpoint, const Tools& tools,
                            std::int64_t unix_seconds, const RestoreOptions& options);

// As Datastore::Restore.
Status Load(Connection& server, const Endpoint& endpoint, const Tools& tools, const LoadPlan& plan,
            Source& payload, const RestoreOptions& options);

}  // namespace holdfast::mysql
