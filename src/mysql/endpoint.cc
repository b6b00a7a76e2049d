#include "mysql/endpoint.h"

#include <optional>

#include "base/text.h"

namespace holdfast::mysql {
namespace {

constexpr std::string_view kScheme = "mysql://";
constexpr std::string_view kDefaultSocket = "/var/run/mysqld/mysqld.sock";
constexpr std::string_view kDefaultHost = "127.0.0.1", kDefaultDatabase = "kubernetes";

constexpr char kForms[] =
    "Write it as mysql://user:password@tcp(host:3306)/database or "
    "mysql://user:password@unix(/path/to/socket)/database.";

Status Refused(std::string_view what) {
  return WithHint(InvalidArgumentError("the datastore endpoint is not understood: {}", what),
                  kForms);
}

// "%2F" is "/"; a percent sign that begins no such pair stays.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      const std::size_t value =
          std::string_view("0123456789abcdef").find(ToLower(text.substr(at, 1)));
      return value == std::string_view::npos || at >= text.size() ? -1 : static_cast<int>(value);
    };
    if (text[i] == '%' && i + 2 < text.size() && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      out.push_back(static_cast<char>(digit(i + 1) * 16 + digit(i + 2)));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// "tcp(host:port)", "unix(/path)", or a part of that.
Status ParseAddress(std::string_view text, Endpoint& endpoint) {
  const std::size_t open = text.find('(');
  const std::string_view net = text.substr(0, open);
  std::string_view address;
  if (open != std::string_view::npos) {
    if (!text.ends_with(')')) return Refused("the address does not end with \")\"");
    address = text.substr(open + 1, text.size() - open - 2);
  }
  if (net == "unix") {
    endpoint.socket = address.empty() ? kDefaultSocket : address;
    return OkStatus();
  }
  if (net != "tcp" && !net.empty()) return Refused("the network is neither tcp nor unix");
  const std::size_t colon = address.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && address.find(']', colon) == std::string_view::npos;
  std::string_view host = address.substr(0, has_port ? colon : address.size());
  if (has_port) {
    const std::optional<std::uint64_t> port = ParseUint(address.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535)
      return Refused("the port is not a number from 1 to 65535");
    endpoint.port = static_cast<unsigned>(*port);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  endpoint.host = host.empty() ? kDefaultHost : host;
  return OkStatus();
}

// Other parameters tune Go's driver or kine; they mean nothing here.
Status ParseParameters(std::string_view text, Endpoint& endpoint) {
  for (const std::string& parameter : Split(text, '&')) {
    if (!parameter.starts_with("tls=")) continue;
    const std::string value = ToLower(Unescape(parameter.substr(4)));
    if (value == "true" || value == "1") {
      endpoint.tls = Tls::kVerified;
    } else if (value == "skip-verify") {
      endpoint.tls = Tls::kUnverified;
    } else if (value == "false" || value == "0") {
      endpoint.tls = Tls::kOff;
    } else {
      return Refused("tls= takes true, skip-verify or false");
    }
  }
  return OkStatus();
}

}  // namespace

std::string Endpoint::Describe() const {
  const std::string where =
      socket.empty() ? fmt::format("tcp({}:{})", host, port) : fmt::format("unix({})", socket);
  return fmt::format("{}@{}/{}", user, where, database);
}

StatusOr<Endpoint> ParseEndpoint(const Secret& endpoint, const std::string& ca_file,
                                 const std::string& certificate_file, const std::string& key_file) {
  std::string_view text = endpoint.reveal();
  if (!text.starts_with(kScheme)) return Refused("it does not begin with mysql://");
  text.remove_prefix(kScheme.size());
  Endpoint out;
  out.ca_file = ca_file;
  out.certificate_file = certificate_file;
  out.key_file = key_file;
  if (certificate_file.empty() != key_file.empty())
    return InvalidArgumentError("--datastore-certfile and --datastore-keyfile go together");
  const bool has_files = !ca_file.empty() || !certificate_file.empty();
  if (text.empty()) {
    out.user = "root";
    (has_files ? out.host : out.socket) = has_files ? kDefaultHost : kDefaultSocket;
  } else {
    // A password may hold any character: the last "/" begins the database, the last "@" before it the address.
    const std::size_t slash = text.rfind('/');
    if (slash == std::string_view::npos) return Refused("it has no \"/\" before the database");
    const std::string_view before = text.substr(0, slash), after = text.substr(slash + 1);
    const std::size_t at = before.rfind('@');
    if (at != std::string_view::npos) {
      const std::string_view login = before.substr(0, at);
      const std::size_t colon = login.find(':');
      out.user = login.substr(0, colon);
      if (colon != std::string_view::npos)
        out.password = Secret(std::string(login.substr(colon + 1)));
    }
    RETURN_IF_ERROR(ParseAddress(before.substr(at == std::string_view::npos ? 0 : at + 1), out));
    const std::size_t question = after.find('?');
    out.database = Unescape(after.substr(0, question));
    if (question != std::string_view::npos)
      RETURN_IF_ERROR(ParseParameters(after.substr(question + 1), out));
  }
  if (out.database.empty()) out.database = kDefaultDatabase;
  if (has_files && out.tls == Tls::kOff) out.tls = Tls::kVerified;
  return out;
}

}  // namespace holdfast::mysql
