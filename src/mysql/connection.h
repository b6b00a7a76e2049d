// One connection to a MySQL or MariaDB server by MariaDB's client library. Reads no option files.
//
// Errors: kUnavailable: no answer, or it went away; kUnauthenticated, kPermissionDenied, kNotFound (no such database),
// kResourceExhausted (max_allowed_packet, disk), else kFailedPrecondition; the text is the server's, without any statement.
// Not thread-safe. Closing rolls back what was not committed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/endpoint.h"
#include "os/file_system.h"

namespace holdfast::mysql {

// One field of a row; none: NULL.
using Field = std::optional<std::string_view>;
using Row = std::vector<std::optional<std::string>>;

class Connection {
 public:
  // To the server; `database` may be empty: none is chosen. The endpoint's TLS files must be there.
  static StatusOr<std::unique_ptr<Connection>> Open(FileSystem& fs, const Endpoint& endpoint,
                                                    const std::string& database);
  virtual ~Connection() = default;

  // A statement without a result.
  virtual Status Run(std::string_view sql) = 0;
  // All rows: for small results.
  virtual StatusOr<std::vector<Row>> Query(std::string_view sql) = 0;
  // Row by row, as the server sends them. An error of `row` ends it; the connection is of no use then. `stop` is looked at
  // between rows.
  virtual Status Stream(std::string_view sql,
                        const std::function<Status(std::span<const Field>)>& row,
                        std::stop_token stop) = 0;

  // The number of the server's last error, 0 for none: mysqld_error.h.
  virtual unsigned error_number() const = 0;
  // "10.11.19-MariaDB-0+deb12u1", "8.0.36".
  virtual std::string version() const = 0;
};

// `text` as a literal in single quotes, as a name in backticks. For the character set of our connections: bytes.
std::string Quote(std::string_view text);
std::string QuoteName(std::string_view name);

}  // namespace holdfast::mysql
