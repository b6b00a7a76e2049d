// Where a MySQL or MariaDB is, as kine takes it: "mysql://" and a data source name of Go's MySQL driver.
//
//   mysql://[user[:password]@][tcp[(host[:port])] | unix[(/path)]]/[database][?name=value&...]
//
// Source: github.com/go-sql-driver/mysql, README ("DSN") and dsn.go; kine pkg/drivers/mysql/mysql.go for the defaults:
// root at /var/run/mysqld/mysqld.sock, with TLS files root at 127.0.0.1; database "kubernetes".
#pragma once

#include <string>
#include <string_view>

#include "base/redacted.h"
#include "base/status.h"

namespace holdfast::mysql {

enum class Tls {
  kOff,
  kUnverified,  // tls=skip-verify: encrypted, whoever answers
  kVerified,    // tls=true, or with --datastore-cafile: by that CA, else the system's
};

struct Endpoint {
  std::string user;
  Secret password;
  std::string socket;  // or, if empty:
  std::string host;
  unsigned port = 3306;
  std::string database;
  Tls tls = Tls::kOff;
  std::string ca_file, certificate_file, key_file;

  // Without secrets: "kine@tcp(10.0.0.5:3306)/kine".
  std::string Describe() const;
};

// kInvalidArgument if it is not understood; the message does not hold it.
StatusOr<Endpoint> ParseEndpoint(const Secret& endpoint, const std::string& ca_file,
                                 const std::string& certificate_file, const std::string& key_file);

}  // namespace holdfast::mysql
