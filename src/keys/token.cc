#include "keys/token.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kPrefix = "K10";
constexpr std::size_t kCaHashLength = 64;
constexpr std::size_t kTokenHashLength = 12;
constexpr std::size_t kPasswordBytes = 16;

Status InvalidToken(std::string_view message) {
  return WithHint(
      InvalidArgumentError("{}", message),
      "Give the whole line of the file server/token in a server's data directory, or the password "
      "that the cluster was started with.");
}

bool IsLowerAlphanumeric(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// kubeadm's bootstrap tokens: [a-z0-9]{6}\.[a-z0-9]{16}
bool IsBootstrapToken(std::string_view text) {
  constexpr std::size_t kIdLength = 6, kSecretLength = 16;
  return text.size() == kIdLength + 1 + kSecretLength && text[kIdLength] == '.' &&
         IsLowerAlphanumeric(text.substr(0, kIdLength)) &&
         IsLowerAlphanumeric(text.substr(kIdLength + 1));
}

}  // namespace

StatusOr<ServerToken> ParseServerToken(std::string_view text) {
  std::string_view rest = Trim(text);
  if (rest.empty()) return InvalidToken("token must not be empty");

  ServerToken token;
  const bool is_long = rest.starts_with(kPrefix);
  if (is_long) {
    rest.remove_prefix(kPrefix.size());
    if (const auto colons = rest.find("::"); colons != std::string_view::npos) {
      if (colons != 0 && colons != kCaHashLength) {
        return InvalidToken("invalid token CA hash length");
      }
      token.ca_hash = rest.substr(0, colons);
      rest.remove_prefix(colons + 2);
    }
  }
  if (IsBootstrapToken(rest)) {
    return WithHint(InvalidArgumentError("failed to normalize server token; must be in format "
                                         "K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"),
                    "This is a bootstrap token, which admits agents only.");
  }
  if (is_long) {
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return InvalidToken("invalid token format");
    token.user = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  if (rest.empty()) return InvalidToken("invalid token format");
  token.password = Secret(std::string(rest));
  return token;
}

Secret FormatToken(const ServerToken& token) {
  return Secret(
      fmt::format("{}{}::{}:{}", kPrefix, token.ca_hash, token.user, token.password.reveal()));
}

Secret NewPassword(Random& random) { return Secret(random.Hex(kPasswordBytes)); }

std::string TokenHash(const Secret& password) {
  return HexOf(Sha256Of(BytesOf(password.reveal()))).substr(0, kTokenHashLength);
}

std::string BootstrapKeyName(const Secret& password) {
  return std::string(kBootstrapKeyPrefix) + TokenHash(password);
}

}  // namespace holdfast
