#include "formats/member/membership.h"

#include <algorithm>
#include <map>

#include "base/checksum.h"
#include "base/endian.h"
#include "base/text.h"

namespace holdfast {
namespace {

std::uint64_t MemberId(const std::vector<std::string>& sorted_urls,
                       std::string_view cluster_token) {
  const std::string text = Join(sorted_urls, "") + std::string(cluster_token);
  return LoadBig64(Sha1Of(BytesOf(text)).data());
}

std::uint64_t ClusterId(const std::vector<Member>& members) {
  std::vector<std::uint8_t> ids(members.size() * 8);
  for (std::size_t i = 0; i < members.size(); ++i) StoreBig64(ids.data() + i * 8, members[i].id);
  return LoadBig64(Sha1Of(ids).data());
}

std::string JsonList(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const std::string& text : texts) quoted.push_back(GoJsonString(text));
  return "[" + Join(quoted, ",") + "]";
}

}  // namespace

std::string GoJsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const std::string_view escape = ShortEscape(c); !escape.empty()) {
      out += escape;
    } else if (byte < 0x20 || c == '<' || c == '>' || c == '&') {
      // Go escapes control characters and what could end a script in HTML.
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Member::Json() const {
  std::string out = fmt::format("{{\"id\":{},\"peerURLs\":{}", id, JsonList(peer_urls));
  if (!name.empty()) out += ",\"name\":" + GoJsonString(name);
  return out + "}";
}

std::string Membership::ConfStateJson() const {
  std::vector<std::string> ids;
  for (const Member& member : members) ids.push_back(fmt::format("{}", member.id));
  return "{\"voters\":[" + Join(ids, ",") + "],\"auto_leave\":false}";
}

std::string MemberIdText(std::uint64_t id) { return fmt::format("{:x}", id); }

Status CheckPeerUrl(std::string_view url) {
  const auto scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      (scheme != "http" && scheme != "https" && scheme != "unix" && scheme != "unixs")) {
    return InvalidArgumentError("URL scheme must be http, https, unix, or unixs: {}", url);
  }
  const std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find('/') != std::string_view::npos) {
    return InvalidArgumentError("URL must not contain a path: {}", url);
  }
  const auto colon = rest.rfind(':');
  const auto port =
      colon == std::string_view::npos ? std::nullopt : ParseUint(rest.substr(colon + 1));
  if (colon == 0 || !port || *port == 0 || *port > 65535) {
    return InvalidArgumentError("URL address does not have the form \"host:port\": {}", url);
  }
  return OkStatus();
}

StatusOr<Membership> ParseInitialCluster(std::string_view initial_cluster,
                                         std::string_view cluster_token) {
  std::map<std::string, std::vector<std::string>> urls_of;
  for (const std::string& part : Split(initial_cluster, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgumentError("initial cluster \"{}\": expected NAME=URL, found \"{}\"",
                                  initial_cluster, part);
    }
    const std::string url = part.substr(equals + 1);
    RETURN_IF_ERROR(CheckPeerUrl(url), "initial cluster");
    urls_of[part.substr(0, equals)].push_back(url);
  }
  Membership out;
  for (auto& [name, urls] : urls_of) {
    std::sort(urls.begin(), urls.end());
    out.members.push_back({.id = MemberId(urls, cluster_token), .name = name, .peer_urls = urls});
  }
  std::sort(out.members.begin(), out.members.end(),
            [](const Member& a, const Member& b) { return a.id < b.id; });
  for (std::size_t i = 0; i < out.members.size(); ++i) {
    if (i > 0 && out.members[i].id == out.members[i - 1].id) {
      return InvalidArgumentError("initial cluster: {} and {} have the same peer URLs",
                                  out.members[i - 1].name, out.members[i].name);
    }
  }
  out.cluster_id = ClusterId(out.members);
  return out;
}

}  // namespace holdfast
