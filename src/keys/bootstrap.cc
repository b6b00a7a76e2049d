#include "keys/bootstrap.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/bytes.h"
#include "base/text.h"
#include "keys/base64.h"

namespace holdfast {
namespace {

using Json = nlohmann::json;

constexpr char kTimestamp[] = "Timestamp";
constexpr char kContent[] = "Content";

constexpr std::array<BootstrapPath, 15> kPaths = {{
    {"ClientCA", "tls/client-ca.crt"},
    {"ClientCAKey", "tls/client-ca.key"},
    {"ETCDPeerCA", "tls/etcd/peer-ca.crt"},
    {"ETCDPeerCAKey", "tls/etcd/peer-ca.key"},
    {"ETCDServerCA", "tls/etcd/server-ca.crt"},
    {"ETCDServerCAKey", "tls/etcd/server-ca.key"},
    {"EncryptionConfig", "cred/encryption-config.json"},
    {"EncryptionHash", "cred/encryption-state.json"},
    {"IPSECKey", "cred/ipsec.psk"},
    {"PasswdFile", "cred/passwd"},
    {"RequestHeaderCA", "tls/request-header-ca.crt"},
    {"RequestHeaderCAKey", "tls/request-header-ca.key"},
    {"ServerCA", "tls/server-ca.crt"},
    {"ServerCAKey", "tls/server-ca.key"},
    {"ServiceKey", "tls/service.key"},
}};

// Null if there is no such member or it is not a string.
const std::string* StringMember(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

// Nothing if it is not a time, or one that Go could not have written.
std::optional<absl::Time> ParseTimestamp(std::string_view text) {
  const StatusOr<absl::Time> time = ParseRfc3339(text);
  const absl::Time end = absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  if (!time.ok() || *time == absl::InfinitePast() || *time >= end) return std::nullopt;
  return std::max(*time, absl::UnixEpoch());  // Go's zero time, "not known", is the start of year 1
}

StatusOr<BootstrapFile> DecodeFile(const Json& value) {
  const bool is_old = value.is_string();
  const std::string* base64 =
      is_old ? value.get_ptr<const std::string*>() : StringMember(value, kContent);
  auto content = base64 != nullptr ? Base64Decode(*base64) : std::nullopt;
  if (!content) return DataLossError("no base64 content");
  if (is_old) return BootstrapFile{*std::move(content), absl::UnixEpoch()};

  const std::string* timestamp = StringMember(value, kTimestamp);
  const auto modified_at = timestamp != nullptr ? ParseTimestamp(*timestamp) : std::nullopt;
  if (!modified_at) return DataLossError("no RFC 3339 timestamp");
  return BootstrapFile{*std::move(content), *modified_at};
}

}  // namespace

std::string EncodeBootstrap(const BootstrapData& data) {
  // Go writes Timestamp first, so the order in which members are added has to stay.
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson out = OrderedJson::object();
  for (const auto& [key, file] : data) {
    out[key] = {{kTimestamp, FormatRfc3339Nano(file.modified_at)},
                {kContent, Base64Encode(BytesOf(file.content))}};
  }
  // Anything but "replace" throws if a key is not UTF-8.
  return out.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                  OrderedJson::error_handler_t::replace) +
         "\n";
}

StatusOr<BootstrapData> DecodeBootstrap(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return DataLossError("bootstrap data are not a JSON object");
  BootstrapData data;
  for (const auto& [key, value] : parsed.items()) {
    ASSIGN_OR_RETURN(data[key], DecodeFile(value), "bootstrap data: {}", key);
  }
  return data;
}

std::span<const BootstrapPath> BootstrapPaths() { return kPaths; }

}  // namespace holdfast
