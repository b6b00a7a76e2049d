// The cluster's shared secret: how operators write it, and what is derived from it.
//
//   K10<64 hex>::<user>:<password>   the secure form: who joins checks the cluster's CA by the hash (CaHash in pki.h)
//   <password>                       the short form: the CA is trusted on first use
//
// The password alone, the "normalised token", seals the bootstrap data (seal.h) and names them; the rest is for
// joining.
// Source of the formats: K3s pkg/clientaccess/token.go and pkg/util/token.go, which RKE2 uses too.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

struct ServerToken {
  std::string ca_hash;  // 64 hex digits; empty in the short form
  std::string user;     // "server" or "node"; empty in the short form
  Secret password;      // never empty
};

// Understands both forms, and "K10:::<password>" as short; white space around `text` does not count. kInvalidArgument
// with a hint: empty text, a CA hash that is not 64 long, no password, or a kubeadm-style bootstrap token
// ("<id>.<secret>", with or without a CA hash), which admits agents only. No message shows a part of the token.
StatusOr<ServerToken> ParseServerToken(std::string_view text);

// "K10<ca_hash>::<user>:<password>": the content of the token files, where a newline follows.
Secret FormatToken(const ServerToken& token);

// 16 random bytes as 32 hex digits: the password of a cluster that was not given one.
Secret NewPassword(Random& random);

// The first 12 hex digits of the SHA-256 of `password`: snapshots carry it, so that a restore can tell a wrong token.
std::string TokenHash(const Secret& password);

// The datastore key of the bootstrap data sealed with `password`: "/bootstrap/" and the token hash. Data of clusters
// from before tokens were required lie under the name for the empty password.
inline constexpr std::string_view kBootstrapKeyPrefix = "/bootstrap/";
std::string BootstrapKeyName(const Secret& password);

}  // namespace holdfast
