#include "identity/token_files.h"

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "keys/pki.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kTokenBytesMax = 64 * kKiB;
constexpr std::uint64_t kPasswdBytesMax = 1 * kMiB;
constexpr absl::Duration kTokenFileTimeout = absl::Minutes(4), kTokenFilePoll = absl::Seconds(2);

Status WriteIfDifferent(FileSystem& fs, const std::string& path, std::string_view content) {
  const auto present = ReadFile(fs, path, kPasswdBytesMax);
  if (present.ok() && *present == content) return OkStatus();
  return WriteFileAtomically(fs, path, content, 0600);
}

// A link to `target`, unless something of that name says the same.
Status LinkIfDifferent(FileSystem& fs, const std::string& target, const std::string& link) {
  const auto wanted = ReadFile(fs, target, kTokenBytesMax),
             present = ReadFile(fs, link, kTokenBytesMax);
  if (wanted.ok() && present.ok() && *wanted == *present) return OkStatus();
  const Status removed = fs.RemoveFile(link);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  return fs.MakeSymlink(target, link);
}

}  // namespace

StatusOr<Secret> WaitForTokenFile(FileSystem& fs, Clock& clock, const std::string& path,
                                  std::stop_token stop) {
  const Deadline deadline(clock, kTokenFileTimeout);
  for (bool first = true;; first = false) {
    const auto text = ReadFile(fs, path, kTokenBytesMax);
    if (text.ok() && !Trim(*text).empty()) return Secret(std::string(Trim(*text)));
    if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
    if (first) LogInfo("waiting for the token file {}", path);
    if (deadline.passed())
      return DeadlineExceededError("the token file {} did not appear within {}", path,
                                   FormatGoDuration(kTokenFileTimeout));
    if (!clock.Sleep(kTokenFilePoll, stop)) return CancelledError("stopped");
  }
}

StatusOr<Secret> ServerPassword(FileSystem& fs, const DataLayout& layout, const Secret& given) {
  if (!given.empty()) {
    ASSIGN_OR_RETURN(ServerToken token, ParseServerToken(given.reveal()));
    return token.password;
  }
  const auto text = ReadFile(fs, layout.token(), kTokenBytesMax);
  if (absl::IsNotFound(text.status())) return Secret();
  RETURN_IF_ERROR(text.status());
  ASSIGN_OR_RETURN(ServerToken token, ParseServerToken(*text), "{}", layout.token());
  return token.password;
}

Status WriteTokenFiles(FileSystem& fs, const DataLayout& layout, const TokenFileOptions& options) {
  ASSIGN_OR_RETURN(const std::string ca,
                   ReadFile(fs, JoinPath(layout.tls(), "server-ca.crt"), kPasswdBytesMax));
  ASSIGN_OR_RETURN(const std::string ca_hash, CaHash(ca));
  const auto file_text = [&](const char* user, const Secret& password) {
    return FormatToken({.ca_hash = ca_hash, .user = user, .password = password}).reveal() + "\n";
  };
  RETURN_IF_ERROR(WriteIfDifferent(fs, layout.token(), file_text("server", options.password)));
  RETURN_IF_ERROR(LinkIfDifferent(fs, layout.token(), layout.node_token()));
  if (options.agent_password.empty()) {
    RETURN_IF_ERROR(LinkIfDifferent(fs, layout.token(), layout.agent_token()));
  } else {
    // Over a link too, which shows another text: the rename takes its place.
    RETURN_IF_ERROR(
        WriteIfDifferent(fs, layout.agent_token(), file_text("node", options.agent_password)));
  }

  RETURN_IF_ERROR(MakeDirectories(fs, layout.cred(), 0700));
  PasswdFile passwd;
  if (auto present = ReadPasswdFile(fs, layout); present.ok()) {
    passwd = *std::move(present);
  } else if (!absl::IsNotFound(present.status())) {
    return present.status();
  }
  const Secret& agent = options.agent_password.empty() ? options.password : options.agent_password;
  const std::string server_role = options.distribution + ":server",
                    agent_role = options.distribution + ":agent";
  if (passwd.RoleOf("server", options.password) != server_role)
    passwd.Set("server", options.password, server_role);
  if (passwd.RoleOf("node", agent) != agent_role) passwd.Set("node", agent, agent_role);
  return WriteIfDifferent(fs, layout.passwd(), passwd.Format().reveal());
}

StatusOr<Secret> OwnAgentPassword(FileSystem& fs, const DataLayout& layout) {
  const auto passwd = ReadPasswdFile(fs, layout);
  if (absl::IsNotFound(passwd.status())) return Secret();
  RETURN_IF_ERROR(passwd.status());
  Secret agent = passwd->PasswordOf("node");
  // Compared within the file: it may be from before a rotation of the servers' token, which is the agents' too then.
  return agent == passwd->PasswordOf("server") ? Secret() : agent;
}

StatusOr<PasswdFile> ReadPasswdFile(FileSystem& fs, const DataLayout& layout) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(fs, layout.passwd(), kPasswdBytesMax));
  auto passwd = PasswdFile::Parse(text);
  RETURN_IF_ERROR(passwd.status(), "{}", layout.passwd());
  return passwd;
}

}  // namespace holdfast
