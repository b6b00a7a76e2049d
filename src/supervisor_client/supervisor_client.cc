#include "supervisor_client/supervisor_client.h"

#include <algorithm>
#include <optional>

#include "keys/pki.h"
#include "keys/token.h"

namespace holdfast {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr std::size_t kLineBytesMax = 64u << 20;  // a list of very many snapshots comes as one line

// Cuts a body that comes in pieces into lines and remembers the last one that is not progress.
class LineReader {
 public:
  explicit LineReader(const std::function<void(const Progress&)>& on_progress)
      : on_progress_(on_progress) {}

  Status Take(std::string_view piece) {
    pending_.append(piece);
    std::size_t start = 0;
    for (std::size_t end; (end = pending_.find('\n', start)) != std::string::npos;
         start = end + 1) {
      ASSIGN_OR_RETURN(const auto line,
                       DecodeLine(std::string_view(pending_).substr(start, end - start)));
      if (const auto* progress = std::get_if<Progress>(&line)) {
        // Without numbers it only says that the server is alive.
        if (on_progress_ && progress->done > 0) on_progress_(*progress);
      } else {
        result_ = std::get<std::string>(line);
      }
    }
    pending_.erase(0, start);
    if (pending_.size() > kLineBytesMax)
      return ResourceExhaustedError("the server sent a line without end");
    return OkStatus();
  }
  StatusOr<std::string> Result() && {
    if (!result_) return UnavailableError("the server broke off its answer");
    return *std::move(result_);
  }

 private:
  const std::function<void(const Progress&)>& on_progress_;
  std::string pending_;
  std::optional<std::string> result_;
};

}  // namespace

Status CheckServerUrl(const std::string& url) {
  if (url.starts_with("https://")) return OkStatus();
  return InvalidArgumentError("only https:// URLs are supported, invalid scheme: {}", url);
}

StatusOr<SupervisorClient> SupervisorClient::Connect(HttpClient& http, const std::string& url,
                                                     const Secret& token, const std::string& user) {
  RETURN_IF_ERROR(CheckServerUrl(url));
  ASSIGN_OR_RETURN(const ServerToken parsed, ParseServerToken(token.reveal()));
  ASSIGN_OR_RETURN(
      HttpResponse answer,
      http.Do({.url = url + "/cacerts", .skip_verify = true, .stall_timeout = absl::Seconds(10)}));
  if (answer.code != 200) return DecodeError(answer.code, answer.body);
  ASSIGN_OR_RETURN(const std::string hash, CaHash(answer.body), "{}/cacerts", url);
  if (!parsed.ca_hash.empty() && parsed.ca_hash != hash) {
    return WithHint(UnauthenticatedError(
                        "token CA hash does not match the Cluster CA certificate hash: {} != {}",
                        parsed.ca_hash, hash),
                    "The token belongs to another cluster than the server at " + url + ".");
  }
  return SupervisorClient(http, url,
                          {.user = parsed.user.empty() ? user : parsed.user,
                           .password = parsed.password,
                           .ca_pem = std::move(answer.body)});
}

StatusOr<std::string> SupervisorClient::Call(const std::string& method, const std::string& path,
                                             const std::string& body) {
  HttpRequest call{.method = method,
                   .url = url_ + path,
                   .headers = {std::string("Accept: ") + kJsonType},
                   .body = body,
                   .user = access_.user,
                   .password = access_.password,
                   .ca_pem = access_.ca_pem,
                   .connect_timeout = std::min(patience_, kConnectTimeout),
                   .stall_timeout = patience_};
  if (!body.empty()) call.headers.push_back(std::string("Content-Type: ") + kJsonType);
  ASSIGN_OR_RETURN(HttpResponse answer, http_->Do(call));
  if (answer.code >= 200 && answer.code < 300) return std::move(answer.body);
  return Annotate(DecodeError(answer.code, answer.body), url_ + path);
}

namespace {

std::string Versioned(std::string_view distribution, std::string_view what) {
  return fmt::format("/v1-{}/{}", distribution, what);
}

}  // namespace

StatusOr<ClusterInfo> SupervisorClient::Info() {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", "/db/info"));
  auto info = ClusterInfo::Decode(json);
  RETURN_IF_ERROR(info.status(), "{}/db/info", url_);
  return info;
}

StatusOr<ClusterInfo> SupervisorClient::Lineage(std::string_view distribution) {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", Versioned(distribution, "lineage")));
  return ClusterInfo::Decode(json);
}

StatusOr<Secret> SupervisorClient::ServerBootstrap(std::string_view distribution) {
  ASSIGN_OR_RETURN(std::string json, Call("GET", Versioned(distribution, "server-bootstrap")));
  return Secret(std::move(json));
}

StatusOr<ClusterConfig> SupervisorClient::Config(std::string_view distribution) {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", Versioned(distribution, "config")));
  return ClusterConfig::Decode(json);
}

StatusOr<NodeStatus> SupervisorClient::Node(std::string_view distribution) {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", Versioned(distribution, "node")));
  return NodeStatus::Decode(json);
}

StatusOr<std::vector<NodeStatus>> SupervisorClient::Nodes(std::string_view distribution) {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", Versioned(distribution, "nodes")));
  return DecodeNodes(json);
}

StatusOr<ServerList> SupervisorClient::Servers(std::string_view distribution) {
  ASSIGN_OR_RETURN(const std::string json, Call("GET", Versioned(distribution, "servers")));
  return ServerList::Decode(json);
}

Status SupervisorClient::KeepAlive(std::string_view distribution, const NodeRecord& node) {
  return Call("POST", Versioned(distribution, "nodes"), node.Encode()).status();
}

Status SupervisorClient::RemoveNode(std::string_view distribution, const NodeRemoval& removal) {
  return Call("DELETE", Versioned(distribution, "nodes"), removal.Encode()).status();
}

StatusOr<ClientCertificate> SupervisorClient::MakeClientCertificate(std::string_view distribution,
                                                                    const std::string& node) {
  ASSIGN_OR_RETURN(
      const std::string json,
      Call("POST", Versioned(distribution, "client-certificate"), EncodeNodeName(node)));
  return ClientCertificate::Decode(json);
}

Status SupervisorClient::RotateToken(std::string_view distribution, const Secret& token) {
  return Call("PUT", Versioned(distribution, "token"), EncodeNewToken(token)).status();
}

StatusOr<std::string> SupervisorClient::Snapshot(
    const SnapshotRequest& request, const std::function<void(const Progress&)>& on_progress) {
  LineReader lines(on_progress);
  HttpRequest call{
      .method = "POST",
      .url = url_ + "/db/snapshot",
      .headers = {std::string("Content-Type: ") + kJsonType, std::string("Accept: ") + kLinesType},
      .body = request.Encode(),
      .user = access_.user,
      .password = access_.password,
      .ca_pem = access_.ca_pem,
      .connect_timeout = std::min(patience_, kConnectTimeout),
      .stall_timeout = patience_};
  call.on_body = [&](std::string_view piece) { return lines.Take(piece); };
  ASSIGN_OR_RETURN(const HttpResponse answer, http_->Do(call));
  if (answer.code < 200 || answer.code >= 300) return DecodeError(answer.code, answer.body);
  return std::move(lines).Result();
}

}  // namespace holdfast
