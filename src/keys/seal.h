// Sealing the bootstrap data (bootstrap.h) with the cluster's token, as they lie in the datastore and so in every
// snapshot.
//
//   <salt>:<base64 of nonce(12) || ciphertext || tag(16)>
//   key = PBKDF2-HMAC-SHA1(password, salt, 4096 rounds, 32 bytes); AES-256-GCM, no additional data
//
// The salt is 8 random bytes in hex, and its 16 characters themselves enter the derivation, not the bytes they stand
// for. Deriving a key takes about a millisecond. Source: K3s pkg/cluster/encrypt.go.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

// Far above any real one: etcd refuses values beyond 1.5 MiB.
inline constexpr std::size_t kSealableSizeMax = 16u << 20;

// The sealed value. `password` is the normalised token (ServerToken::password); it may be empty, as in clusters from
// before tokens were required. kResourceExhausted beyond kSealableSizeMax; kInternal if OpenSSL refuses.
StatusOr<std::string> Seal(std::string_view plaintext, const Secret& password, Random& random);

// What was sealed. kDataLoss if `value` has not that form; kUnauthenticated, with a hint, if it was sealed with another
// password (or changed since: the two cannot be told apart).
StatusOr<std::string> OpenSealed(std::string_view value, const Secret& password);

}  // namespace holdfast
