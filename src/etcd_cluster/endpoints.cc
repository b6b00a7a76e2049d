#include "etcd_cluster/endpoints.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kExample = "Write it as https://10.0.0.1:2379,https://10.0.0.2:2379.";

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// "%41" becomes "A"; a % that begins no such thing stays.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto high = i + 2 < text.size() && text[i] == '%' ? HexDigit(text[i + 1]) : std::nullopt;
    const auto low = high ? HexDigit(text[i + 2]) : std::nullopt;
    if (low) {
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Status NotUnderstood(std::size_t number, std::string_view why) {
  return WithHint(InvalidArgumentError("etcd endpoint {}: {}", number, why), kExample);
}

}  // namespace

std::string EtcdEndpoints::Location() const {
  std::vector<std::string> parts;
  for (const EtcdEndpoint& e : list) parts.push_back((e.tls ? "https://" : "http://") + e.address);
  return Join(parts, ",");
}

StatusOr<EtcdEndpoints> ParseEtcdEndpoints(const Secret& text) {
  EtcdEndpoints out;
  std::size_t number = 0;
  for (const std::string& part : Split(text.reveal(), ',')) {
    ++number;
    std::string_view rest = Trim(part);
    EtcdEndpoint endpoint;
    if (rest.starts_with("https://")) {
      endpoint.tls = true;
      rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
      rest.remove_prefix(7);
    } else {
      // It may be the rest of a password with a comma: not shown.
      return NotUnderstood(number, "it does not begin with http:// or https://");
    }
    if (const auto at = rest.rfind('@'); at != rest.npos) {
      const std::string_view login = rest.substr(0, at);
      const auto colon = login.find(':');
      std::string user = Unescape(login.substr(0, colon));
      Secret password(colon == login.npos ? std::string() : Unescape(login.substr(colon + 1)));
      if (user.empty()) return NotUnderstood(number, "there is an @, but no user before it");
      if (!out.user.empty() && (out.user != user || out.password != password))
        return NotUnderstood(number, "it names another user or password than the one before");
      out.user = std::move(user);
      out.password = std::move(password);
      rest.remove_prefix(at + 1);
    }
    if (rest.ends_with('/')) rest.remove_suffix(1);
    const auto colon = rest.rfind(':');
    const auto port = colon == rest.npos ? std::nullopt : ParseUint(rest.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535 || colon == 0 || rest.find('/') != rest.npos)
      return NotUnderstood(number, "after // it must be host:port and nothing else");
    endpoint.address = rest;
    const auto same = [&](const EtcdEndpoint& e) { return e.address == endpoint.address; };
    if (std::none_of(out.list.begin(), out.list.end(), same))
      out.list.push_back(std::move(endpoint));
  }
  return out;
}

Status ExplainRefusal(const Status& status) {
  struct Known {
    std::string_view words;
    std::optional<StatusCode> code;  // if etcd's own says less
    std::string_view hint;
  };
  static constexpr std::string_view kUser =
      "Give user and password of an etcd user with the role root: "
      "--datastore-endpoint=https://USER:PASSWORD@HOST:2379,... (special characters as %XX).";
  static constexpr std::string_view kClosed =
      "It may want a client certificate (--datastore-certfile, --datastore-keyfile), or TLS "
      "(https:// instead of http://).";
  static constexpr Known kKnown[] = {
      {"invalid user ID or password", StatusCode::kUnauthenticated, kUser},
      {"user name is empty", StatusCode::kUnauthenticated, kUser},
      {"invalid auth token", StatusCode::kUnauthenticated, kUser},
      {"permission denied", StatusCode::kPermissionDenied,
       "etcd lets only users with the role root take snapshots: "
       "`etcdctl user grant-role USER root`."},
      {"CERTIFICATE_VERIFY_FAILED", StatusCode::kUnauthenticated,
       "Give the CA that signed etcd's server certificate with --datastore-cafile; the "
       "certificate must name the host in the endpoint."},
      {"certificate verify failed", StatusCode::kUnauthenticated,
       "Give the CA that signed etcd's server certificate with --datastore-cafile; the "
       "certificate must name the host in the endpoint."},
      {"CERTIFICATE_REQUIRED", StatusCode::kUnauthenticated,
       "This etcd wants a client certificate: --datastore-certfile and --datastore-keyfile."},
      {"BAD_CERTIFICATE", StatusCode::kUnauthenticated,
       "This etcd wants a client certificate of its own CA: --datastore-certfile and "
       "--datastore-keyfile."},
      {"Socket closed", std::nullopt, kClosed},
      {"Endpoint read failed", std::nullopt, kClosed},
      {"Connection reset by peer", std::nullopt, kClosed},
      {"WRONG_VERSION_NUMBER", std::nullopt,
       "This etcd does not speak TLS: write http:// instead of https://."}};
  const std::string message = MessageOf(status);
  for (const Known& known : kKnown) {
    if (message.find(known.words) == std::string::npos) continue;
    const Status coded = known.code ? MakeStatus(*known.code, message) : status;
    return HintOf(status).empty() ? WithHint(coded, known.hint) : coded;
  }
  return status;
}

}  // namespace holdfast
