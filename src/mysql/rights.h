// What our account must be allowed to do for a restore. Whoever has too little is refused before anything changes.
#pragma once

#include <string_view>
#include <vector>

#include "datastore/datastore.h"
#include "mysql/database.h"

namespace holdfast::mysql {

// The privileges on a database that loading this snapshot into it takes.
std::vector<std::string_view> PrivilegesToLoad(const SnapshotFacts& facts);

// kPermissionDenied, with what is missing and how to give it, if `account` may not load this snapshot into `database`: the
// privileges above; the right to make what runs as somebody else; that to make triggers and functions where the server
// keeps a binary log.
Status CheckRights(Connection& server, const Grants& grants, std::string_view account,
                   const std::string& database, const SnapshotFacts& facts);

}  // namespace holdfast::mysql
