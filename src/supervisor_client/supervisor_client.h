// Calls our own server's supervisor API: what the command line, a joining server and an agent ask of a running server.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/redacted.h"
#include "base/status.h"
#include "protocol/cluster_api.h"
#include "protocol/snapshot_api.h"
#include "wire/http_client.h"

namespace holdfast {

// kInvalidArgument unless it begins with https://.
Status CheckServerUrl(const std::string& url);

// Who is calling, and what the server must be. Servers of one cluster know its CA and need not ask for it.
struct SupervisorAccess {
  std::string user = "server";  // "node": an agent
  Secret password;
  std::string ca_pem;
};

class SupervisorClient {
 public:
  // No request goes out. `http` must outlive this.
  SupervisorClient(HttpClient& http, std::string url, SupervisorAccess access)
      : http_(&http), url_(std::move(url)), access_(std::move(access)) {}

  // Fetches the server's CA from /cacerts and checks it against the hash in the token (a bare password trusts it, as RKE2
  // does). `token` is a server token in any form, its user that of the token, else `user`. `http` must outlive this.
  // kUnavailable: nobody answers there. kUnauthenticated: it is another server than the token is for.
  static StatusOr<SupervisorClient> Connect(HttpClient& http, const std::string& url,
                                            const Secret& token,
                                            const std::string& user = "server");

  // How long the server may say nothing in the calls below; a minute if not set. The time to connect is a part of it.
  void SetPatience(absl::Duration patience) { patience_ = patience; }
  const std::string& url() const { return url_; }
  const SupervisorAccess& access() const { return access_; }

  StatusOr<ClusterInfo> Info();
  // The ids alone, whatever our password is.
  StatusOr<ClusterInfo> Lineage(std::string_view distribution);
  // `distribution` is the name in the path. The bootstrap data are for keys/bootstrap.h; they are secret.
  StatusOr<Secret> ServerBootstrap(std::string_view distribution);
  StatusOr<ClusterConfig> Config(std::string_view distribution);
  StatusOr<NodeStatus> Node(std::string_view distribution);
  StatusOr<std::vector<NodeStatus>> Nodes(std::string_view distribution);
  // kUnavailable: it is not ready, and says why.
  StatusOr<ServerList> Servers(std::string_view distribution);
  Status KeepAlive(std::string_view distribution, const NodeRecord& node);
  Status RemoveNode(std::string_view distribution, const NodeRemoval& removal);
  StatusOr<ClientCertificate> MakeClientCertificate(std::string_view distribution,
                                                    const std::string& node);
  Status RotateToken(std::string_view distribution, const Secret& token);

  // POST /db/snapshot. `on_progress` (may be empty) is called while the server saves. There is no limit in all: the call
  // ends with kDeadlineExceeded when the server says nothing for as long as the patience lasts. While it saves, or waits for
  // S3, it says something every ten seconds. The result's JSON; the server's error as it is.
  StatusOr<std::string> Snapshot(const SnapshotRequest& request,
                                 const std::function<void(const Progress&)>& on_progress);

 private:
  StatusOr<std::string> Call(const std::string& method, const std::string& path,
                             const std::string& body = "");

  HttpClient* http_;
  std::string url_;
  SupervisorAccess access_;
  absl::Duration patience_ = absl::Minutes(1);
};

}  // namespace holdfast
