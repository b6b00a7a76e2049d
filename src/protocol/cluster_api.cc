#include "protocol/cluster_api.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kNodeNameMax = 253;

StatusOr<Json> ParseObject(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidArgumentError("the answer is no JSON object");
  return json;
}

// A field of the wrong type counts as one that is not there: what must be there is checked by name.
std::string Text(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}
bool Flag(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_boolean() && it->get<bool>();
}
template <typename Number>
Number NumberOf(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number_integer() ? it->get<Number>() : Number{};
}
std::vector<std::string> Texts(const Json& json, const char* key) {
  std::vector<std::string> out;
  const auto it = json.find(key);
  if (it == json.end() || !it->is_array()) return out;
  for (const Json& item : *it) {
    if (item.is_string()) out.push_back(item);
  }
  return out;
}
std::optional<absl::Time> TimeOf(const Json& json, const char* key) {
  const auto time = ParseRfc3339(Text(json, key));
  return time.ok() ? std::optional(*time) : std::nullopt;
}

// A node's name becomes part of keys and file names.
Status CheckNodeName(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= kNodeNameMax &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string::npos;
  return good ? OkStatus() : InvalidArgumentError("\"{}\" is no node name", name);
}

Json RecordJson(const NodeRecord& node) {
  Json json = {{"name", node.name}, {"role", node.role}, {"address", node.address}};
  if (!node.supervisor_url.empty()) json["supervisorURL"] = node.supervisor_url;
  if (!node.client_url.empty()) json["clientURL"] = node.client_url;
  if (!node.version.empty()) json["version"] = node.version;
  json["created"] = FormatRfc3339Utc(node.created);
  if (!node.run.empty()) json["run"] = node.run;
  return json;
}

StatusOr<NodeRecord> RecordFrom(const Json& json) {
  NodeRecord node{.name = Text(json, "name"),
                  .role = Text(json, "role"),
                  .address = Text(json, "address"),
                  .supervisor_url = Text(json, "supervisorURL"),
                  .client_url = Text(json, "clientURL"),
                  .version = Text(json, "version"),
                  .created = TimeOf(json, "created").value_or(absl::UnixEpoch()),
                  .run = Text(json, "run")};
  RETURN_IF_ERROR(CheckNodeName(node.name));
  if (node.role != kServerRole && node.role != kAgentRole)
    return InvalidArgumentError("\"{}\" is no role of a node", node.role);
  return node;
}

Json StatusJson(const NodeStatus& status) {
  Json json = RecordJson(status.node);
  json["ready"] = status.ready;
  if (!status.reason.empty()) json["reason"] = status.reason;
  if (!status.cluster_id.empty()) json["clusterID"] = status.cluster_id;
  if (!status.member_id.empty()) {
    json["memberID"] = status.member_id;
    json["learner"] = status.is_learner;
    json["leader"] = status.is_leader;
    json["dbSize"] = status.db_bytes;
    json["revision"] = status.revision;
  }
  if (status.last_snapshot) json["lastSnapshot"] = FormatRfc3339Utc(*status.last_snapshot);
  return json;
}

StatusOr<NodeStatus> StatusFrom(const Json& json) {
  NodeStatus out{.ready = Flag(json, "ready"),
                 .reason = Text(json, "reason"),
                 .member_id = Text(json, "memberID"),
                 .cluster_id = Text(json, "clusterID"),
                 .is_learner = Flag(json, "learner"),
                 .is_leader = Flag(json, "leader"),
                 .db_bytes = NumberOf<std::uint64_t>(json, "dbSize"),
                 .revision = NumberOf<std::int64_t>(json, "revision"),
                 .last_snapshot = TimeOf(json, "lastSnapshot")};
  ASSIGN_OR_RETURN(out.node, RecordFrom(json));
  return out;
}

}  // namespace

ClusterInfo ClusterInfo::LineageOnly() const {
  ClusterInfo out{.cluster_id = cluster_id, .former_cluster_ids = former_cluster_ids};
  for (const ClusterMember& m : members) out.members.push_back({.id = m.id});
  return out;
}

std::string ClusterInfo::Encode() const {
  Json list = Json::array();
  for (const ClusterMember& m : members) {
    Json json = {{"ID", m.id}};
    if (!m.name.empty() || !m.peer_urls.empty()) {
      json["name"] = m.name;
      json["peerURLs"] = m.peer_urls;
    }
    if (!m.client_urls.empty()) json["clientURLs"] = m.client_urls;
    if (m.is_learner) json["isLearner"] = true;
    list.push_back(std::move(json));
  }
  Json json = {{"members", std::move(list)}};
  if (!cluster_id.empty()) json["clusterID"] = cluster_id;
  if (!former_cluster_ids.empty()) json["formerClusterIDs"] = former_cluster_ids;
  if (!node_name.empty()) json["nodeName"] = node_name;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<ClusterInfo> ClusterInfo::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  ClusterInfo info{.members = {},
                   .cluster_id = Text(json, "clusterID"),
                   .former_cluster_ids = Texts(json, "formerClusterIDs"),
                   .node_name = Text(json, "nodeName")};
  const auto list = json.find("members");
  if (list == json.end() || !list->is_array())
    return InvalidArgumentError("the answer has no list \"members\"");
  for (const Json& m : *list) {
    if (!m.is_object()) return InvalidArgumentError("a member is no JSON object");
    info.members.push_back({.id = NumberOf<std::uint64_t>(m, "ID"),
                            .name = Text(m, "name"),
                            .peer_urls = Texts(m, "peerURLs"),
                            .client_urls = Texts(m, "clientURLs"),
                            .is_learner = Flag(m, "isLearner")});
  }
  return info;
}

std::string ClusterConfig::Encode() const {
  return Json(values).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<ClusterConfig> ClusterConfig::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  ClusterConfig out;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) out.values[key] = value;
  }
  return out;
}

std::string Differences(const ClusterConfig& here, const ClusterConfig& there) {
  std::vector<std::string> out;
  for (const auto& [key, value] : here.values) {
    // What the other one does not know cannot differ.
    const auto it = there.values.find(key);
    if (it == there.values.end() || it->second == value) continue;
    out.push_back(fmt::format("{} is {} here and {} there", key, value, it->second));
  }
  return Join(out, ", ");
}

std::string NodeRecord::Encode() const {
  return RecordJson(*this).dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<NodeRecord> NodeRecord::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  return RecordFrom(json);
}

std::string NodeStatus::Encode() const {
  return StatusJson(*this).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<NodeStatus> NodeStatus::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  return StatusFrom(json);
}

std::string EncodeNodes(const std::vector<NodeStatus>& nodes) {
  Json list = Json::array();
  for (const NodeStatus& node : nodes) list.push_back(StatusJson(node));
  return Json{{"nodes", std::move(list)}}.dump(4, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

StatusOr<std::vector<NodeStatus>> DecodeNodes(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  const auto list = json.find("nodes");
  if (list == json.end() || !list->is_array())
    return InvalidArgumentError("the answer has no list \"nodes\"");
  std::vector<NodeStatus> out;
  for (const Json& item : *list) {
    if (!item.is_object()) return InvalidArgumentError("a node is no JSON object");
    ASSIGN_OR_RETURN(NodeStatus node, StatusFrom(item));
    out.push_back(std::move(node));
  }
  return out;
}

std::string ServerList::Encode() const {
  Json list = Json::array();
  for (const NodeRecord& server : servers) list.push_back(RecordJson(server));
  return Json{{"clusterID", cluster_id},
              {"formerClusterIDs", former_cluster_ids},
              {"servers", std::move(list)}}
             .dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

StatusOr<ServerList> ServerList::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  ServerList out{.cluster_id = Text(json, "clusterID"),
                 .former_cluster_ids = Texts(json, "formerClusterIDs"),
                 .servers = {}};
  const auto list = json.find("servers");
  if (out.cluster_id.empty() || list == json.end() || !list->is_array())
    return InvalidArgumentError("the answer has no \"clusterID\" or no list \"servers\"");
  for (const Json& item : *list) {
    if (!item.is_object()) return InvalidArgumentError("a server is no JSON object");
    ASSIGN_OR_RETURN(NodeRecord server, RecordFrom(item));
    out.servers.push_back(std::move(server));
  }
  return out;
}

std::string NodeRemoval::Encode() const {
  return Json{{"name", name}, {"force", force}}.dump(-1, ' ', false,
                                                     Json::error_handler_t::replace);
}

StatusOr<NodeRemoval> NodeRemoval::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  NodeRemoval out{.name = Text(json, "name"), .force = Flag(json, "force")};
  RETURN_IF_ERROR(CheckNodeName(out.name));
  return out;
}

std::string ClientCertificate::Encode() const {
  return Json{{"certificate", certificate_pem}, {"key", key_pem.reveal()}, {"ca", ca_pem}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<ClientCertificate> ClientCertificate::Decode(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  ClientCertificate out{.certificate_pem = Text(json, "certificate"),
                        .ca_pem = Text(json, "ca"),
                        .key_pem = Secret(Text(json, "key"))};
  if (out.certificate_pem.empty() || out.ca_pem.empty() || out.key_pem.empty())
    return InvalidArgumentError("the answer holds no certificate");
  return out;
}

std::string EncodeNodeName(const std::string& name) {
  return Json{{"name", name}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<std::string> DecodeNodeName(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  std::string name = Text(json, "name");
  RETURN_IF_ERROR(CheckNodeName(name));
  return name;
}

std::string EncodeNewToken(const Secret& token) {
  return Json{{"newToken", token.reveal()}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<Secret> DecodeNewToken(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  return Secret(Text(json, "newToken"));
}

}  // namespace holdfast
