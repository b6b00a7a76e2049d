// One connection to a PostgreSQL. Nothing waits longer than it was told, and a stop ends every wait.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/pipe.h"
#include "postgres/endpoint.h"

struct pg_conn;
struct pg_result;

namespace holdfast::postgres {

// "name" with what is in it doubled, as SQL wants it.
std::string QuoteName(std::string_view name);
std::string QuoteText(std::string_view text);

// How long a server may take to let us in.
inline constexpr absl::Duration kConnectTimeout = absl::Seconds(15);

using Row = std::vector<std::optional<std::string>>;

// Errors: kUnavailable: not reached, gone, starting or stopping; kUnauthenticated: who we are was not believed, or who it
// is;
// kPermissionDenied; kNotFound: no such database; kResourceExhausted; kAborted: a lock was not given; kDataLoss: it found
// its own data damaged; kFailedPrecondition: whatever else the server refuses. They say what the server said.
class Connection {
 public:
  // `database`: instead of the endpoint's, if not empty.
  static StatusOr<std::unique_ptr<Connection>> Open(const Endpoint& endpoint,
                                                    const std::string& database,
                                                    const PipeWait& wait);
  // For Open().
  struct Key {
    explicit Key() = default;
  };
  Connection(Key, pg_conn* connection, const PipeWait& wait)
      : connection_(connection), wait_(wait) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // From now on no stop is heard: to clean up after one.
  void IgnoreStop() { wait_.stop = {}; }

  int major() const;            // 15
  std::string version() const;  // "15.18 (Debian 15.18-0+deb12u1)"

  // One statement, with $1, $2, ... as text. What it returns is kept whole: not for tables.
  StatusOr<std::vector<Row>> Query(const std::string& sql,
                                   const std::vector<std::string>& values = {});
  Status Execute(const std::string& sql);

  // COPY ... TO STDOUT, then its data until there is none: then all of it came.
  Status BeginCopyOut(const std::string& sql);
  // Valid until the next call; nullopt: the end.
  StatusOr<std::optional<ByteSpan>> ReadCopy();

  // COPY ... FROM STDIN. Without EndCopyIn nothing of it stays.
  Status BeginCopyIn(const std::string& sql);
  Status WriteCopy(std::string_view data);
  Status EndCopyIn();

 private:
  using Result = std::unique_ptr<pg_result, void (*)(pg_result*)>;

  Status Flush();
  StatusOr<Result> NextResult();
  // Sends nothing; reads results to the end of the statement and returns the last one, which must be of kind `expected`.
  StatusOr<Result> LastResult(int expected);
  // Takes the first result, which must be of kind `expected` (a COPY that begins).
  Status BeginCopy(const std::string& sql, int expected);
  Status Check(const pg_result* result, int expected) const;
  Status Lost() const;

  pg_conn* const connection_;
  PipeWait wait_;
  char* copied_ = nullptr;  // of the last ReadCopy
};

}  // namespace holdfast::postgres
