// The token and who may use it: server/token, node-token, agent-token and cred/passwd.
#pragma once

#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/layout.h"
#include "base/random.h"
#include "keys/passwd_file.h"
#include "keys/token.h"
#include "os/file_system.h"

namespace holdfast {

// The content of --token-file, trimmed. Waits for the file to appear, at most 4 minutes, looking every 2 seconds, as RKE2
// does; kDeadlineExceeded then.
StatusOr<Secret> WaitForTokenFile(FileSystem& fs, Clock& clock, const std::string& path,
                                  std::stop_token stop);

// The server password that is in force: of `given` (a token in any form; empty: none), else of server/token.
// An empty Secret if there is neither. kInvalidArgument if the text is no server token.
StatusOr<Secret> ServerPassword(FileSystem& fs, const DataLayout& layout, const Secret& given);

struct TokenFileOptions {
  std::string distribution;  // roles are "<distribution>:server" and "<distribution>:agent"
  Secret password;           // the server's
  Secret agent_password;     // empty: the server's
};

// Writes the token files for the CA in tls/server-ca.crt and the rows of the passwd file, where they are not so already.
Status WriteTokenFiles(FileSystem& fs, const DataLayout& layout, const TokenFileOptions& options);

// The agents' password, if the passwd file has one that is not the servers'; else empty.
StatusOr<Secret> OwnAgentPassword(FileSystem& fs, const DataLayout& layout);

StatusOr<PasswdFile> ReadPasswdFile(FileSystem& fs, const DataLayout& layout);

}  // namespace holdfast
