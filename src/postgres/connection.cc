#include "postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>

#include "base/text.h"

namespace holdfast::postgres {
namespace {

// One line of what libpq and the server say.
std::string OneLine(std::string_view text) {
  std::string out;
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view trimmed = Trim(line);
    if (trimmed.empty() || trimmed.starts_with("LOCATION:")) continue;
    if (!out.empty()) out += "; ";
    out += trimmed;
  }
  return out;
}

// Source: PostgreSQL's documentation, appendix A, "Error Codes".
StatusCode CodeOf(std::string_view sqlstate) {
  struct Known {
    std::string_view prefix;
    StatusCode code;
  };
  static constexpr std::array kKnown = {
      Known{"08", StatusCode::kUnavailable},    Known{"28", StatusCode::kUnauthenticated},
      Known{"3D000", StatusCode::kNotFound},    Known{"42501", StatusCode::kPermissionDenied},
      Known{"53300", StatusCode::kUnavailable}, Known{"53", StatusCode::kResourceExhausted},
      Known{"55P03", StatusCode::kAborted},     Known{"57P", StatusCode::kUnavailable},
      Known{"58030", StatusCode::kUnavailable}, Known{"XX001", StatusCode::kDataLoss},
      Known{"XX002", StatusCode::kDataLoss},
  };
  for (const Known& known : kKnown) {
    if (sqlstate.starts_with(known.prefix)) return known.code;
  }
  return StatusCode::kFailedPrecondition;
}

Status WithAdvice(const Status& status, std::string_view text) {
  if (text.find("no pg_hba.conf entry") != std::string_view::npos) {
    return WithHint(
        status,
        "The server's pg_hba.conf lets nobody in from here with this user, database and "
        "encryption: add an entry, or check sslmode.");
  }
  if (status.code() == StatusCode::kUnauthenticated &&
      text.find("certificate") != std::string_view::npos) {
    return WithHint(status,
                    "Check --datastore-cafile, --datastore-certfile and --datastore-keyfile.");
  }
  if (status.code() == StatusCode::kUnauthenticated)
    return WithHint(status, "Check user and password of --datastore-endpoint.");
  return status;
}

// A connection that did not come about. What the server says has its code in it, as PQERRORS_VERBOSE writes it:
// "... failed: FATAL:  28P01: password authentication failed".
Status ConnectError(std::string_view text) {
  constexpr std::string_view kFatal = "FATAL:  ";
  std::string message = OneLine(text);
  StatusCode code = StatusCode::kUnavailable;
  const std::size_t fatal = message.find(kFatal);
  const std::size_t sqlstate = fatal + kFatal.size();
  if (fatal != std::string::npos && message.size() > sqlstate + 7 && message[sqlstate + 5] == ':') {
    code = CodeOf(std::string_view(message).substr(sqlstate, 5));
    message.erase(sqlstate - 1, 7);
  } else if (message.find("certificate") != std::string::npos ||
             message.find("no password supplied") != std::string::npos ||
             message.find("private key") != std::string::npos) {
    code = StatusCode::kUnauthenticated;
  }
  return WithAdvice(MakeStatus(code, message), message);
}

}  // namespace

std::string QuoteName(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + "\"";
}

std::string QuoteText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

StatusOr<std::unique_ptr<Connection>> Connection::Open(const Endpoint& endpoint,
                                                       const std::string& database,
                                                       const PipeWait& wait) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : endpoint.settings) {
    keywords.push_back(keyword.c_str());
    values.push_back(keyword == "dbname" && !database.empty() ? database.c_str() : value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const raw = ::PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0);
  if (raw == nullptr) return ResourceExhaustedError("no memory for a connection");
  auto out = std::make_unique<Connection>(Connection::Key{}, raw, wait);
  ::PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  // The server's words have a deadline of their own: connect_timeout counts only for the synchronous call.
  const PipeWait connect_wait{kConnectTimeout, wait.stop};
  while (::PQstatus(raw) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
    RETURN_IF_ERROR(AwaitReady(::PQsocket(raw), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                               connect_wait),
                    "connect to {}", endpoint.Location());
    state = ::PQconnectPoll(raw);
    if (state == PGRES_POLLING_FAILED) break;
  }
  if (::PQstatus(raw) != CONNECTION_OK) return ConnectError(::PQerrorMessage(raw));
  ::PQsetErrorVerbosity(raw, PQERRORS_DEFAULT);
  if (::PQsetnonblocking(raw, 1) != 0) return out->Lost();
  return out;
}

Connection::~Connection() {
  ::PQfreemem(copied_);
  ::PQfinish(connection_);
}

int Connection::major() const { return ::PQserverVersion(connection_) / 10000; }

std::string Connection::version() const {
  const char* const text = ::PQparameterStatus(connection_, "server_version");
  return text == nullptr ? "" : text;
}

Status Connection::Lost() const {
  return UnavailableError("{}", OneLine(::PQerrorMessage(connection_)));
}

Status Connection::Flush() {
  while (true) {
    const int left = ::PQflush(connection_);
    if (left == 0) return OkStatus();
    if (left < 0) return Lost();
    RETURN_IF_ERROR(AwaitReady(::PQsocket(connection_), POLLIN | POLLOUT, wait_));
    // The server may have to say something before it takes more.
    if (::PQconsumeInput(connection_) == 0) return Lost();
  }
}

StatusOr<Connection::Result> Connection::NextResult() {
  RETURN_IF_ERROR(Flush());
  while (::PQisBusy(connection_) != 0) {
    RETURN_IF_ERROR(AwaitReady(::PQsocket(connection_), POLLIN, wait_));
    if (::PQconsumeInput(connection_) == 0) return Lost();
  }
  return Result(::PQgetResult(connection_), &::PQclear);
}

Status Connection::Check(const pg_result* result, int expected) const {
  if (result != nullptr && ::PQresultStatus(result) == expected) return OkStatus();
  if (result == nullptr || ::PQstatus(connection_) == CONNECTION_BAD) return Lost();
  const char* const sqlstate = ::PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string text = OneLine(::PQresultErrorMessage(result));
  return MakeStatus(CodeOf(sqlstate == nullptr ? "" : sqlstate),
                    text.empty() ? "the server answered something else than was asked" : text);
}

StatusOr<Connection::Result> Connection::LastResult(int expected) {
  Result last(nullptr, &::PQclear);
  Status status;
  while (true) {
    ASSIGN_OR_RETURN(Result result, NextResult());
    if (result == nullptr) break;
    if (status.ok()) status = Check(result.get(), expected);
    last = std::move(result);
  }
  RETURN_IF_ERROR(status);
  if (last == nullptr) return Lost();
  return last;
}

StatusOr<std::vector<Row>> Connection::Query(const std::string& sql,
                                             const std::vector<std::string>& values) {
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  if (::PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(texts.size()), nullptr,
                          texts.data(), nullptr, nullptr, 0) == 0) {
    return Lost();
  }
  ASSIGN_OR_RETURN(const Result result, LastResult(PGRES_TUPLES_OK));
  std::vector<Row> out;
  for (int i = 0; i < ::PQntuples(result.get()); ++i) {
    Row& row = out.emplace_back();
    for (int j = 0; j < ::PQnfields(result.get()); ++j) {
      row.push_back(::PQgetisnull(result.get(), i, j) != 0
                        ? std::nullopt
                        : std::optional<std::string>(::PQgetvalue(result.get(), i, j)));
    }
  }
  return out;
}

Status Connection::Execute(const std::string& sql) {
  if (::PQsendQuery(connection_, sql.c_str()) == 0) return Lost();
  return LastResult(PGRES_COMMAND_OK).status();
}

Status Connection::BeginCopy(const std::string& sql, int expected) {
  if (::PQsendQuery(connection_, sql.c_str()) == 0) return Lost();
  ASSIGN_OR_RETURN(const Result result, NextResult());
  return Check(result.get(), expected);
}

Status Connection::BeginCopyOut(const std::string& sql) { return BeginCopy(sql, PGRES_COPY_OUT); }
Status Connection::BeginCopyIn(const std::string& sql) { return BeginCopy(sql, PGRES_COPY_IN); }

StatusOr<std::optional<ByteSpan>> Connection::ReadCopy() {
  ::PQfreemem(copied_);
  copied_ = nullptr;
  while (true) {
    const int n = ::PQgetCopyData(connection_, &copied_, /*async=*/1);
    if (n > 0)
      return ByteSpan(reinterpret_cast<const std::uint8_t*>(copied_), static_cast<std::size_t>(n));
    if (n == -2) return Lost();
    if (n == -1) break;
    RETURN_IF_ERROR(AwaitReady(::PQsocket(connection_), POLLIN, wait_));
    if (::PQconsumeInput(connection_) == 0) return Lost();
  }
  RETURN_IF_ERROR(LastResult(PGRES_COMMAND_OK).status());
  return std::nullopt;
}

Status Connection::WriteCopy(std::string_view data) {
  while (true) {
    const int taken = ::PQputCopyData(connection_, data.data(), CheckedCast<int>(data.size()));
    if (taken < 0) return Lost();
    RETURN_IF_ERROR(Flush());
    if (taken > 0) return OkStatus();
  }
}

Status Connection::EndCopyIn() {
  int sent;
  while ((sent = ::PQputCopyEnd(connection_, nullptr)) == 0) RETURN_IF_ERROR(Flush());
  if (sent < 0) return Lost();
  return LastResult(PGRES_COMMAND_OK).status();
}

}  // namespace holdfast::postgres
