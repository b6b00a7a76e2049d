// Where a PostgreSQL is, from --datastore-endpoint and the flags for TLS: a connection string as kine and libpq take it,
// with kine's defaults. Source: k3s-io/kine pkg/drivers/pgsql/pgsql.go (prepareDSN).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "datastore/datastore.h"

namespace holdfast::postgres {

struct Endpoint {
  std::map<std::string, std::string> settings;  // by libpq's keywords; may hold a password

  const std::string& database() const { return settings.at("dbname"); }
  // For people: "postgres://kine@db.example:5432/kine".
  std::string Location() const;
  // For libpq's tools, which read most settings, and above all the password, from variables...
  std::vector<std::string> ToolEnvironment() const;
  // ... and this as --dbname: the name of the database and what has no variable.
  std::string ToolDatabase(const std::string& database) const;
};

// kInvalidArgument if libpq does not understand it.
StatusOr<Endpoint> ParseEndpoint(const DatastoreOptions& options);

}  // namespace holdfast::postgres
