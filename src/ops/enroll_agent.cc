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

struct TlsFiles {
  FileSystem& fs;
  const std::string directory;

  std::string Read(const char* name) const {
    return ReadFile(fs, JoinPath(directory, name), kPemBytesMax).value_or("");
  }
  KeyPair Client() const {
    return {.certificate_pem = Read("client.crt"), .key_pem = Secret(Read("client.key"))};
  }
  Status Write(const char* name, const std::string& text, unsigned mode) const {
    return WriteFileAtomically(fs, JoinPath(directory, name), text, mode);
  }
  // The certificate last: with it everything counts as there.
  Status Write(const ClientCertificate& made) const {
    RETURN_IF_ERROR(Write("etcd-server-ca.crt", made.ca_pem, 0644));
    RETURN_IF_ERROR(Write("client.key", made.key_pem.reveal(), 0600));
    return Write("client.crt", made.certificate_pem, 0600);
  }
};

TlsFiles FilesOf(FileSystem& fs, const EnrollRequest& request) {
  return {fs, JoinPath(request.agent_dir, "tls")};
}

// Why another certificate is needed at that time; empty if none is.
std::string WhyRenew(const TlsFiles& files, const EnrollRequest& request, absl::Time now) {
  return RenewalReason(
      files.Client(), files.Read("etcd-server-ca.crt"),
      {.common_name = fmt::format("{}-agent-{}", request.distribution, request.node_name),
       .client_auth = true,
       .now = now});
}

class Enrollment {
 public:
  Enrollment(FileSystem& fs, Clock& clock, HttpClient& http, const EnrollRequest& request)
      : fs_(fs), clock_(clock), http_(http), request_(request), files_(FilesOf(fs, request)) {}

  StatusOr<AgentAccess> Run() {
    for (const std::string& directory : {request_.agent_dir, files_.directory}) {
      RETURN_IF_ERROR(MakeDirectories(fs_, directory, 0700));
    }
    ASSIGN_OR_RETURN(token_, ParseServerToken(request_.token.reveal()));
    if (HasAll()) {
      return AgentAccess({.user = token_.user.empty() ? kAgentUser : token_.user,
                          .password = token_.password,
                          .ca_pem = files_.Read("server-ca.crt")},
                         token_.user.empty());
    }
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
  bool HasAll() const {
    const std::string ca = files_.Read("server-ca.crt");
    const auto hash = CaHash(ca);
    if (ca.empty() || !hash.ok() || (!token_.ca_hash.empty() && token_.ca_hash != *hash))
      return false;
    const KeyPair pair = files_.Client();
    if (pair.certificate_pem.empty()) return false;
    const auto info = Inspect(pair.certificate_pem);
    // One that expires soon will do for a start.
    std::string reason = WhyRenew(files_, request_, absl::InfinitePast());
    if (reason.empty() && info->not_after < clock_.Now()) reason = "it has expired";
    if (!reason.empty()) LogInfo("The client certificate is asked for anew: {}", reason);
    return reason.empty();
  }

  StatusOr<AgentAccess> AskForAll() {
    ASSIGN_OR_RETURN(
        SupervisorClient client,
        SupervisorClient::Connect(http_, request_.server_url, request_.token, kAgentUser));
    AgentAccess access(client.access(), token_.user.empty());
    StatusOr<ClientCertificate> pair = UnavailableError("not asked");
    const Status asked = access.Call([&](const SupervisorAccess& as) {
      pair = SupervisorClient(http_, request_.server_url, as)
                 .MakeClientCertificate(request_.distribution, request_.node_name);
      return pair.status();
    });
    if (absl::IsUnauthenticated(asked)) {
      return WithHint(asked,
                      "Give the token of the cluster's servers or agents with --token; on a "
                      "server: token show.");
    }
    RETURN_IF_ERROR(asked);
    if (token_.ca_hash.empty()) {
      LogWarn(
          "The token has no CA hash: the certificate authority of {} (hash {}) is trusted on "
          "first use",
          request_.server_url, CaHash(access.access().ca_pem).value_or("unknown"));
    }
    RETURN_IF_ERROR(files_.Write("server-ca.crt", access.access().ca_pem, 0644));
    RETURN_IF_ERROR(files_.Write(*pair));
    return access;
  }

  FileSystem& fs_;
  Clock& clock_;
  HttpClient& http_;
  const EnrollRequest& request_;
  const TlsFiles files_;
  ServerToken token_;
};

}  // namespace

Status AgentAccess::Call(const std::function<Status(const SupervisorAccess&)>& call) {
  const Status status = call(access_);
  if (!is_bare_password_ || !absl::IsUnauthenticated(status)) return status;
  SupervisorAccess other = access_;
  other.user = access_.user == kAgentUser ? kServerUser : kAgentUser;
  const Status as_other = call(other);
  if (as_other.ok()) access_.user = other.user;
  return as_other;
}

StatusOr<AgentAccess> EnrollAgent(FileSystem& fs, Clock& clock, HttpClient& http,
                                  const EnrollRequest& request) {
  return Enrollment(fs, clock, http, request).Run();
}

Status RenewAgentCertificate(FileSystem& fs, Clock& clock, SupervisorClient& client,
                             const EnrollRequest& request) {
  const TlsFiles files = FilesOf(fs, request);
  const std::string reason = WhyRenew(files, request, clock.Now());
  if (reason.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const ClientCertificate made,
                   client.MakeClientCertificate(request.distribution, request.node_name));
  RETURN_IF_ERROR(files.Write(made));
  LogInfo("The client certificate was made anew by {}: {}", client.url(), reason);
  return OkStatus();
}

}  // namespace holdfast
