// What an agent keeps on disk, and how it comes by it: `holdfast agent --server URL --token T`.
//
//   DATA/agent/tls/server-ca.crt       0644  the cluster's CA, checked against the token once
//   DATA/agent/tls/etcd-server-ca.crt  0644  who signs the certificates of etcd's client ports
//   DATA/agent/tls/client.{crt,key}    0600  the agent's own, for etcd's clients on this host
//
// With all of them, and a certificate that lasts, an agent starts without asking anybody. A crash in between: what is
// missing is asked for again.
#pragma once

#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/redacted.h"
#include "os/file_system.h"
#include "supervisor_client/supervisor_client.h"

namespace holdfast {

struct EnrollRequest {
  std::string agent_dir;   // DATA/agent
  std::string server_url;  // --server
  Secret token;            // the server's or the agents', in any form
  std::string distribution;
  std::string node_name;
  std::stop_token stop;
};

// Waits for the server, and says why every few seconds; kDeadlineExceeded after five minutes. kUnauthenticated: the token
// is wrong, or for another cluster. Returns what supervisors are called with.
StatusOr<SupervisorAccess> EnrollAgent(FileSystem& fs, Clock& clock, HttpClient& http,
                                       const EnrollRequest& request);

}  // namespace holdfast
