// What an agent keeps on disk, and how it comes by it: `holdfast agent --server URL --token T`.
//
//   DATA/agent/tls/server-ca.crt       0644  the cluster's CA, checked against the token once
//   DATA/agent/tls/etcd-server-ca.crt  0644  who signs the certificates of etcd's client ports
//   DATA/agent/tls/client.{crt,key}    0600  the agent's own, for etcd's clients on this host
//
// With all of them, and a certificate that is valid, an agent starts without asking anybody: the server that it was told of
// may be down, and it remembers the others (agent/agent.h). One of them makes the next certificate in time. A crash in
// between: what is missing is asked for again.
#pragma once

#include <functional>
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

// What supervisors are called with. A bare password does not say whose it is, the agents' or the servers': when one is
// refused the other is tried, and who was taken is asked as from then on. For one thread at a time.
class AgentAccess {
 public:
  AgentAccess(SupervisorAccess access, bool is_bare_password)
      : access_(std::move(access)), is_bare_password_(is_bare_password) {}

  const SupervisorAccess& access() const { return access_; }
  // `call` returns the status of a call with what it is given.
  Status Call(const std::function<Status(const SupervisorAccess&)>& call);

 private:
  SupervisorAccess access_;
  bool is_bare_password_;
};

// If there is no certificate that is valid: waits for the server, and says why every few seconds; kDeadlineExceeded after
// five minutes. kUnauthenticated: the token is wrong, or for another cluster.
StatusOr<AgentAccess> EnrollAgent(FileSystem& fs, Clock& clock, HttpClient& http,
                                  const EnrollRequest& request);

// While an agent runs: when less than 120 days remain, the server that `client` calls is asked for another certificate.
// Applications see it when they read the files again. Asks once; a failure leaves the present one.
Status RenewAgentCertificate(FileSystem& fs, Clock& clock, SupervisorClient& client,
                             const EnrollRequest& request);

}  // namespace holdfast
