#include "mysql/connection.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <sys/socket.h>

#include "base/text.h"

namespace holdfast::mysql {
namespace {

constexpr unsigned kConnectSeconds = 10;
// A statement that changes a large table is silent for as long as it takes.
constexpr unsigned kAnswerSeconds = 1800;
// The largest packet that the protocol knows; memory is taken as needed.
constexpr unsigned long kPacketMax = 1024UL * 1024 * 1024;

StatusCode CodeOf(unsigned number) {
  switch (number) {
    case ER_ACCESS_DENIED_ERROR:
      return StatusCode::kUnauthenticated;
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_PROCACCESS_DENIED_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
      return StatusCode::kPermissionDenied;
    case ER_BAD_DB_ERROR:
      return StatusCode::kNotFound;
    case ER_NET_PACKET_TOO_LARGE:
    case ER_RECORD_FILE_FULL:
    case ER_DISK_FULL:
      return StatusCode::kResourceExhausted;
    case ER_CON_COUNT_ERROR:
    case ER_SERVER_SHUTDOWN:
    case ER_CONNECTION_KILLED:
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kFailedPrecondition;
  }
}

// Advice that the number alone allows.
std::string_view HintFor(unsigned number) {
  switch (number) {
    case ER_ACCESS_DENIED_ERROR:
      return "Check user and password of the endpoint; an account that requires TLS also answers "
             "so without it "
             "(--datastore-cafile, or tls=true in the endpoint).";
    case ER_NET_PACKET_TOO_LARGE:
      return "Raise max_allowed_packet of the server (SET GLOBAL max_allowed_packet = 1073741824).";
    case CR_SSL_CONNECTION_ERROR:
      return "Check --datastore-cafile (the CA of the server's certificate) and that the endpoint "
             "names the host as the "
             "certificate does.";
    default:
      return "";
  }
}

class RealConnection final : public Connection {
 public:
  explicit RealConnection(const Endpoint& endpoint) : where_(endpoint.Describe()) {}
  ~RealConnection() override {
    if (handle_ != nullptr) ::mysql_close(handle_);
  }

  Status Connect(const Endpoint& e, const std::string& database) {
    handle_ = ::mysql_init(nullptr);
    if (handle_ == nullptr) return ResourceExhaustedError("mysql_init: out of memory");
    const unsigned protocol = e.socket.empty() ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
    ::mysql_options(handle_, MYSQL_OPT_PROTOCOL, &protocol);
    ::mysql_options(handle_, MYSQL_OPT_CONNECT_TIMEOUT, &kConnectSeconds);
    ::mysql_options(handle_, MYSQL_OPT_READ_TIMEOUT, &kAnswerSeconds);
    ::mysql_options(handle_, MYSQL_OPT_WRITE_TIMEOUT, &kAnswerSeconds);
    ::mysql_options(handle_, MYSQL_OPT_MAX_ALLOWED_PACKET, &kPacketMax);
    const unsigned off = 0;
    ::mysql_options(handle_, MYSQL_OPT_LOCAL_INFILE, &off);
    // Names and values are bytes; the server converts nothing.
    ::mysql_options(handle_, MYSQL_SET_CHARSET_NAME, "binary");
    SetTls(e);
    if (::mysql_real_connect(handle_, e.host.empty() ? nullptr : e.host.c_str(), e.user.c_str(),
                             e.password.reveal().c_str(),
                             database.empty() ? nullptr : database.c_str(), e.port,
                             e.socket.empty() ? nullptr : e.socket.c_str(), 0) == nullptr) {
      return LastError();
    }
    return OkStatus();
  }

  Status Run(std::string_view sql) override {
    RETURN_IF_ERROR(Send(sql));
    return OkStatus();
  }

  StatusOr<std::vector<Row>> Query(std::string_view sql) override {
    std::vector<Row> rows;
    RETURN_IF_ERROR(Stream(sql,
                           [&](std::span<const Field> fields) {
                             rows.emplace_back(fields.begin(), fields.end());
                             return OkStatus();
                           },
                           {}));
    return rows;
  }

  Status Stream(std::string_view sql, const std::function<Status(std::span<const Field>)>& row,
                std::stop_token stop) override {
    RETURN_IF_ERROR(Send(sql));
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> result(::mysql_use_result(handle_),
                                                                  ::mysql_free_result);
    if (result == nullptr) return LastError();
    std::vector<Field> fields(::mysql_num_fields(result.get()));
    while (const MYSQL_ROW values = ::mysql_fetch_row(result.get())) {
      const unsigned long* const lengths = ::mysql_fetch_lengths(result.get());
      for (std::size_t i = 0; i < fields.size(); ++i) {
        fields[i].reset();
        if (values[i] != nullptr) fields[i].emplace(values[i], lengths[i]);
      }
      Status status = stop.stop_requested() ? CancelledError("stopped") : row(fields);
      if (!status.ok()) {
        // What is still to come is not waited for.
        ::mysql_options(handle_, MYSQL_OPT_READ_TIMEOUT, &kConnectSeconds);
        Abandon();
        return status;
      }
    }
    return ::mysql_errno(handle_) == 0 ? OkStatus() : LastError();
  }

  unsigned error_number() const override { return error_; }
  std::string version() const override { return ::mysql_get_server_info(handle_); }

 private:
  void SetTls(const Endpoint& e) {
    if (e.tls == Tls::kOff) return;
    const auto set = [&](mysql_option option, const std::string& file) {
      if (!file.empty()) ::mysql_options(handle_, option, file.c_str());
    };
    set(MYSQL_OPT_SSL_CA, e.ca_file);
    set(MYSQL_OPT_SSL_CERT, e.certificate_file);
    set(MYSQL_OPT_SSL_KEY, e.key_file);
    const my_bool on = 1, verify = e.tls == Tls::kVerified;
    ::mysql_options(handle_, MYSQL_OPT_SSL_ENFORCE, &on);
    ::mysql_options(handle_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  }

  Status Send(std::string_view sql) {
    error_ = 0;
    if (::mysql_real_query(handle_, sql.data(), sql.size()) != 0) return LastError();
    return OkStatus();
  }

  Status LastError() {
    error_ = ::mysql_errno(handle_);
    const Status status = MakeStatus(
        CodeOf(error_), fmt::format("{}: {} (error {})", where_, ::mysql_error(handle_), error_));
    const std::string_view hint = HintFor(error_);
    return hint.empty() ? status : WithHint(status, hint);
  }

  // Ends the conversation under a result that is not read to its end; else freeing it would read all of it.
  void Abandon() {
    const my_socket socket = ::mysql_get_socket(handle_);
    if (socket >= 0) ::shutdown(socket, SHUT_RDWR);
  }

  const std::string where_;
  MYSQL* handle_ = nullptr;
  unsigned error_ = 0;
};

Status CheckFile(FileSystem& fs, const std::string& path, std::string_view flag) {
  if (path.empty()) return OkStatus();
  RETURN_IF_ERROR(fs.OpenForRead(path).status(), "{}", flag);
  return OkStatus();
}

std::string Enclosed(std::string_view text, char quote, bool backslash) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || (backslash && c == '\\')) out.push_back(c == quote ? quote : '\\');
    out.push_back(c);
  }
  out.push_back(quote);
  return out;
}

}  // namespace

StatusOr<std::unique_ptr<Connection>> Connection::Open(FileSystem& fs, const Endpoint& endpoint,
                                                       const std::string& database) {
  RETURN_IF_ERROR(CheckFile(fs, endpoint.ca_file, "--datastore-cafile"));
  RETURN_IF_ERROR(CheckFile(fs, endpoint.certificate_file, "--datastore-certfile"));
  RETURN_IF_ERROR(CheckFile(fs, endpoint.key_file, "--datastore-keyfile"));
  auto connection = std::make_unique<RealConnection>(endpoint);
  RETURN_IF_ERROR(connection->Connect(endpoint, database));
  // Backslashes escape and double quotes are quotes, whatever the server's default; a value that does not fit is an error.
  RETURN_IF_ERROR(connection->Run(
      "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO', lock_wait_timeout = 30"));
  return connection;
}

std::string Quote(std::string_view text) { return Enclosed(text, '\'', true); }
std::string QuoteName(std::string_view name) { return Enclosed(name, '`', false); }

}  // namespace holdfast::mysql
