#include "ops/enroll_agent.h"

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "keys/pki.h"
#include "keys/token.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr absl::Duration kTimeout = absl::Minutes(5), kRetryInterval = absl::Seconds(1),
                         kReportInterval = absl::Seconds(5);
constexpr std::uint64_t kPemBytesMax = 1 * kMiB;
constexpr char kAgentUser[] = "node", kServerUser[] = "server";

class Enrollment {
 public:
  Enrollment(FileSystem& fs, Clock& clock, HttpClient& http, const EnrollRequest& request)
      : fs_(fs),
        clock_(clock),
        http_(http),
        request_(request),
        tls_(JoinPath(request.agent_dir, "tls")) {}

  StatusOr<SupervisorAccess> Run() {
    for (const std::string& directory : {request_.agent_dir, tls_}) {
      RETURN_IF_ERROR(MakeDirectories(fs_, directory, 0700));
    }
    ASSIGN_OR_RETURN(token_, ParseServerToken(request_.token.reveal()));
    if (HasAll()) return Access(Read("server-ca.crt"));
    const Deadline deadline(clock_, kTimeout);
    absl::Duration next_report = clock_.Steady();
    while (true) {
      const auto access = AskForAll();
      const bool may_pass =
          absl::IsUnavailable(access.status()) || absl::IsDeadlineExceeded(access.status());
      if (access.ok() || !may_pass) return access;
      if (deadline.passed())
        return DeadlineExceededError("{} did not answer within {}: {}", request_.server_url,
                                     FormatGoDuration(kTimeout), MessageOf(access.status()));
      if (clock_.Steady() >= next_report) {
        LogInfo("Waiting for the cluster at {}: {}", request_.server_url,
                MessageOf(access.status()));
        next_report = clock_.Steady() + kReportInterval;
      }
      if (!clock_.Sleep(kRetryInterval, request_.stop)) return CancelledError("stopped");
    }
  }

 private:
  std::string Read(const char* name) const {
    return ReadFile(fs_, JoinPath(tls_, name), kPemBytesMax).value_or("");
  }

  SupervisorAccess Access(const std::string& ca_pem) const {
    return {.user = token_.user.empty() ? kAgentUser : token_.user,
            .password = token_.password,
            .ca_pem = ca_pem};
  }

  bool HasAll() const {
    const std::string ca = Read("server-ca.crt"), etcd_ca = Read("etcd-server-ca.crt");
    const KeyPair pair{.certificate_pem = Read("client.crt"),
                       .key_pem = Secret(Read("client.key"))};
    if (ca.empty() || etcd_ca.empty() || !KeyMatches(pair)) return false;
    const auto hash = CaHash(ca);
    if (!hash.ok() || (!token_.ca_hash.empty() && token_.ca_hash != *hash)) return false;
    const std::string reason = RenewalReason(
        pair, etcd_ca, {.common_name = CommonName(), .client_auth = true, .now = clock_.Now()});
    if (!reason.empty()) LogInfo("The client certificate is asked for anew: {}", reason);
    return reason.empty();
  }
  std::string CommonName() const {
    return fmt::format("{}-agent-{}", request_.distribution, request_.node_name);
  }

  StatusOr<SupervisorAccess> AskForAll() {
    ASSIGN_OR_RETURN(
        SupervisorClient client,
        SupervisorClient::Connect(http_, request_.server_url, request_.token, kAgentUser));
    SupervisorAccess access = client.access();
    auto pair = client.MakeClientCertificate(request_.distribution, request_.node_name);
    // A bare password may be the servers', and agents have one of their own.
    if (absl::IsUnauthenticated(pair.status()) && token_.user.empty()) {
      access.user = kServerUser;
      SupervisorClient as_server(http_, request_.server_url, access);
      pair = as_server.MakeClientCertificate(request_.distribution, request_.node_name);
    }
    if (absl::IsUnauthenticated(pair.status())) {
      return WithHint(pair.status(),
                      "Give the token of the cluster's servers or agents with --token; on a "
                      "server: token show.");
    }
    RETURN_IF_ERROR(pair.status());
    if (token_.ca_hash.empty()) {
      LogWarn(
          "The token has no CA hash: the certificate authority of {} (hash {}) is trusted on "
          "first use",
          request_.server_url, CaHash(access.ca_pem).value_or("unknown"));
    }
    // The certificate last: with it everything counts as there.
    RETURN_IF_ERROR(Write("server-ca.crt", access.ca_pem, 0644));
    RETURN_IF_ERROR(Write("etcd-server-ca.crt", pair->ca_pem, 0644));
    RETURN_IF_ERROR(Write("client.key", pair->key_pem.reveal(), 0600));
    RETURN_IF_ERROR(Write("client.crt", pair->certificate_pem, 0600));
    return access;
  }
  Status Write(const char* name, const std::string& text, unsigned mode) {
    return WriteFileAtomically(fs_, JoinPath(tls_, name), text, mode);
  }

  FileSystem& fs_;
  Clock& clock_;
  HttpClient& http_;
  const EnrollRequest& request_;
  const std::string tls_;
  ServerToken token_;
};

}  // namespace

StatusOr<SupervisorAccess> EnrollAgent(FileSystem& fs, Clock& clock, HttpClient& http,
                                       const EnrollRequest& request) {
  return Enrollment(fs, clock, http, request).Run();
}

}  // namespace holdfast
