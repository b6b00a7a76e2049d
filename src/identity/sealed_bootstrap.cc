#include "identity/sealed_bootstrap.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "keys/seal.h"
#include "keys/token.h"

namespace holdfast {

StatusOr<std::optional<BootstrapData>> OpenBootstrap(
    const std::map<std::string, std::string>& sealed, const Secret& password,
    std::string_view source) {
  if (sealed.empty()) return std::optional<BootstrapData>();
  if (sealed.size() > 1) {
    LogWarn(
        "found multiple bootstrap keys in {}: each opens with a token of its own; token rotate, "
        "also with the present token as --new-token, leaves the one in force",
        source);
  }
  const auto ours = sealed.find(BootstrapKeyName(password));
  if (ours == sealed.end()) {
    std::vector<std::string> hashes;
    for (const auto& [key, value] : sealed)
      hashes.push_back(key.substr(kBootstrapKeyPrefix.size()));
    const std::string given =
        password.empty() ? "no token was given"
                         : fmt::format("the token given has the hash {}", TokenHash(password));
    return WithHint(UnauthenticatedError("bootstrap data already found and encrypted with "
                                         "different token: {} needs the token with the "
                                         "hash {}, {}",
                                         source, Join(hashes, " or "), given),
                    "Give the server token of the time with --token or --token-file; the hash is "
                    "the first 12 hex digits of the "
                    "SHA-256 of its password.");
  }
  auto plaintext = OpenSealed(ours->second, password);
  if (!plaintext.ok()) {
    return Annotate(
        plaintext.status(),
        fmt::format("bootstrap data already found and encrypted with different token: {} in {}",
                    ours->first, source));
  }
  auto data = DecodeBootstrap(*plaintext);
  RETURN_IF_ERROR(data.status(), "{} in {}", ours->first, source);
  return std::optional<BootstrapData>(*std::move(data));
}

std::string OpeningTokenHash(const std::vector<std::string>& keys, const std::string& own) {
  const std::string own_key = std::string(kBootstrapKeyPrefix) + own;
  if (keys.empty() || std::find(keys.begin(), keys.end(), own_key) != keys.end()) return own;
  return keys.back().substr(kBootstrapKeyPrefix.size());
}

}  // namespace holdfast
