// The vendor's own tools, mariadb-dump and mariadb (or MySQL's mysqldump and mysql), and how they are called: no option
// file is read, and the password goes by the environment (MYSQL_PWD), so that it stands in no argument and no file.
#pragma once

#include <string>

#include "datastore/tool_stream.h"
#include "mysql/endpoint.h"

namespace holdfast::mysql {

struct Tools {
  std::string dump, client;  // paths
  bool of_mysql = false;     // not MariaDB's: other flags
  std::string version;       // "10.11.19"
};

// kFailedPrecondition, with the package to install, if they are not there.
StatusOr<Tools> FindTools();

// What a dump holds besides tables and views.
struct DumpParts {
  bool triggers = false, routines = false, events = false;
  bool history = false;  // of tables with system versioning
  // Text as the bytes that are stored: a third less work for the tool. Only where no default, comment or body is other than
  // ASCII: read back, those would be refused or changed. So for a database that holds kine's table and nothing else.
  bool as_bytes = false;
};

// Prints all of `database`, consistent at one point (of tables with transactions).
ToolOptions DumpCommand(const Tools& tools, const Endpoint& endpoint, const std::string& database,
                        const DumpParts& parts);
// Takes SQL text and runs it in `database`; stops at the first error, which is told without the statement.
ToolOptions LoadCommand(const Tools& tools, const Endpoint& endpoint, const std::string& database);

}  // namespace holdfast::mysql
