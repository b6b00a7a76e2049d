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

// What CREATE DATABASE was told, for a server of this major version: " ENCODING = 'UTF8' LOCALE = 'C'"; empty: not there.
std::string DatabaseOptions(const Head& head, int server_major);

// One statement of an entry, and how much of it may be shown: what stands before the first value.
struct Statement {
  std::string sql, shown;
};
// The statements of an entry of the database, for one whose name, quoted, is another one.
std::vector<Statement> ForDatabase(const Entry& entry, std::string_view database,
                                   std::string_view quoted_name);

}  // namespace holdfast::pgdump
