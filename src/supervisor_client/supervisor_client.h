// Calls our own server's supervisor API: what the command line does with a running server.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/redacted.h"
#include "base/status.h"
#include "protocol/snapshot_api.h"
#include "wire/http_client.h"

namespace holdfast {

// kInvalidArgument unless it begins with https://.
Status CheckServerUrl(const std::string& url);

class SupervisorClient {
 public:
  // Fetches the server's CA from /cacerts and checks it against the hash in the token (a bare password trusts it, as RKE2
  // does). `token` is a server token in any form. `http` must outlive this.
  // kUnavailable: nobody answers there. kUnauthenticated: it is another server than the token is for.
  static StatusOr<SupervisorClient> Connect(HttpClient& http, const std::string& url,
                                            const Secret& token);

  // POST /db/snapshot. `on_progress` (may be empty) is called while the server saves. There is no limit in all: the call
  // ends with kDeadlineExceeded when the server says nothing for a minute, or, if S3 may be asked, as long as that may take
  // without progress and a minute more.
  // The result's JSON; the server's error as it is.
  StatusOr<std::string> Snapshot(const SnapshotRequest& request,
                                 const std::function<void(const Progress&)>& on_progress);

 private:
  SupervisorClient(HttpClient& http, std::string url, Secret password, std::string ca_pem)
      : http_(&http),
        url_(std::move(url)),
        password_(std::move(password)),
        ca_pem_(std::move(ca_pem)) {}

  HttpClient* http_;
  std::string url_;
  Secret password_;
  std::string ca_pem_;
};

}  // namespace holdfast
