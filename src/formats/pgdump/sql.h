// What the SQL in an archive's entries says of roles and of the database itself: as much of it as pg_dump writes there.
// Source: PostgreSQL src/bin/pg_dump/pg_dump.c (dumpDatabase, dumpPolicy, dumpUserMappings), dumputils.c
// (buildACLCommands, makeAlterConfigCommand).
#pragma once

#include "formats/pgdump/head.h"

namespace holdfast::pgdump {

// Of the database itself: what made it, its settings, comment and rights. pg_restore takes such entries only when it makes
// the database (pg_backup_archiver.c, _tocEntryRequired).
bool IsOfDatabase(const Entry& entry);

// Roles that an entry names beside its owner: in rights, policies, user mappings, a role's settings for the database.
std::vector<std::string> RolesNamed(const Entry& entry);

}  // namespace holdfast::pgdump
