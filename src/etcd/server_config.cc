#include "etcd/server_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/path.h"
#include "base/text.h"

namespace holdfast::etcd {
namespace {

// Options that hold a text even if it looks like a number or a duration: etcd refuses to start if they come unquoted.
constexpr std::array<std::string_view, 8> kTextOptions = {
    "auto-compaction-mode", "auto-compaction-retention",  "log-level", "log-format",
    "discovery-token",      "strict-reconfig-check-mode", "cors",      "host-whitelist"};

// What is ours to set; changing it behind our back would make snapshots and restores go wrong.
constexpr std::array<std::string_view, 8> kOwnOptions = {"name",
                                                         "data-dir",
                                                         "wal-dir",
                                                         "force-new-cluster",
                                                         "initial-cluster",
                                                         "initial-cluster-state",
                                                         "initial-advertise-peer-urls",
                                                         "initial-cluster-token"};

template <typename Array>
bool Contains(const Array& array, std::string_view text) {
  return std::find(array.begin(), array.end(), text) != array.end();
}

bool LooksLikeDurationOption(std::string_view key) {
  for (std::string_view word : {"time", "duration", "interval", "retention"}) {
    if (key.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::string Urls(std::string_view scheme, const ServerConfig& config, int port, bool with_node) {
  std::string out = fmt::format("{}://{}", scheme, HostPort("127.0.0.1", port));
  if (with_node && !config.for_reset && config.node_address != "127.0.0.1") {
    out += fmt::format(",{}://{}", scheme, HostPort(config.node_address, port));
  }
  return out;
}

using Options = std::map<std::string, YAML::Node>;

// The type a value of --etcd-arg has, tried in this order: integer, duration (in nanoseconds), list, boolean, text.
YAML::Node TypedValue(std::string_view key, const std::string& text) {
  YAML::Node node;
  if (Contains(kTextOptions, key)) {
    node = text;
    node.SetTag("!");
    return node;
  }
  if (const auto number = ParseInt(text)) return node = *number, node;
  if (LooksLikeDurationOption(key)) {
    if (const auto duration = ParseGoDuration(text); duration.ok()) {
      return node = absl::ToInt64Nanoseconds(*duration), node;
    }
  }
  if (text.starts_with('[') && text.ends_with(']')) {
    for (const std::string& item : Split(text.substr(1, text.size() - 2), ',')) {
      if (const auto trimmed = Trim(item); !trimmed.empty()) node.push_back(std::string(trimmed));
    }
    return node;
  }
  if (text == "true" || text == "false") return node = text == "true", node;
  node = text;
  node.SetTag("!");
  return node;
}

Status AddExtraArgs(const ServerConfig& config, Options& options) {
  for (const std::string& argument : config.extra_args) {
    const auto equals = argument.find('=');
    std::string key = argument.substr(0, equals);
    key.erase(0, key.find_first_not_of('-'));
    if (equals == std::string::npos || key.empty()) {
      return InvalidArgumentError("etcd-arg \"{}\": expected key=value", argument);
    }
    if (Contains(kOwnOptions, key)) {
      return InvalidArgumentError("etcd-arg \"{}\": {} is set by the server itself", argument, key);
    }
    options[key] = TypedValue(key, argument.substr(equals + 1));
  }
  return OkStatus();
}

YAML::Node Security(const std::string& tls_dir, const char* leaf, const char* ca) {
  YAML::Node node;
  node["cert-file"] = JoinPath(tls_dir, std::string(leaf) + ".crt");
  node["client-cert-auth"] = true;
  node["key-file"] = JoinPath(tls_dir, std::string(leaf) + ".key");
  node["trusted-ca-file"] = JoinPath(tls_dir, ca);
  return node;
}

// In quotes if it was a text: a scalar that looks like a number stays one only if we made it one.
void Emit(YAML::Emitter& out, const YAML::Node& node) {
  if (node.IsScalar() && node.Tag() == "!") {
    out << YAML::DoubleQuoted << node.Scalar();
  } else {
    out << node;
  }
}

}  // namespace

std::string HostPort(const std::string& address, int port) {
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", port);
}

std::string ServerConfig::PeerUrl() const {
  return "https://" + HostPort(node_address, ports.peer);
}

StatusOr<std::string> EncodeServerConfig(const ServerConfig& config) {
  Options o;
  o["name"] = config.name;
  o["data-dir"] = config.data_dir;
  o["listen-client-urls"] = Urls("https", config, config.ports.client, true);
  o["advertise-client-urls"] =
      "https://" +
      HostPort(config.for_reset ? "127.0.0.1" : config.node_address, config.ports.client);
  o["listen-peer-urls"] = Urls("https", config, config.ports.peer, true);
  o["initial-advertise-peer-urls"] = config.PeerUrl();
  const bool joins = !config.join_cluster.empty();
  o["initial-cluster"] = joins ? config.join_cluster : config.name + "=" + config.PeerUrl();
  o["initial-cluster-state"] = joins ? "existing" : "new";
  o["initial-cluster-token"] = "";
  o["listen-metrics-urls"] = Urls("http", config, config.ports.metrics, config.expose_metrics);
  // From 3.5 on, gRPC has the client port for itself: a snapshot streams 10 to 15 % faster then.
  o["listen-client-http-urls"] = Urls("https", config, config.ports.client_http, false);
  if (config.force_new_cluster) o["force-new-cluster"] = true;
  o["heartbeat-interval"] = config.for_reset ? 50 : 500;
  o["election-timeout"] = config.for_reset ? 500 : 5000;
  o["snapshot-count"] = 10000;
  o["experimental-bootstrap-defrag-threshold-megabytes"] = 100;
  o["experimental-initial-corrupt-check"] = true;
  o["experimental-watch-progress-notify-interval"] = 5000000000;
  o["logger"] = "zap";
  o["log-outputs"].push_back("stderr");
  // With reuse-port two etcds could share a port and answer in turns.
  o["socket-options"]["reuse-address"] = true;
  o["socket-options"]["reuse-port"] = false;
  o["client-transport-security"] = Security(config.tls_dir, "server-client", "server-ca.crt");
  o["peer-transport-security"] = Security(config.tls_dir, "peer-server-client", "peer-ca.crt");
  if (config.auto_compaction_retention > absl::ZeroDuration()) {
    o["auto-compaction-mode"] = TypedValue("auto-compaction-mode", "periodic");
    o["auto-compaction-retention"] =
        TypedValue("auto-compaction-retention", FormatGoDuration(config.auto_compaction_retention));
  }
  RETURN_IF_ERROR(AddExtraArgs(config, o));
  YAML::Emitter out;
  out << YAML::BeginMap;
  for (const auto& [key, value] : o) {
    out << YAML::Key << key << YAML::Value;
    Emit(out, value);
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace holdfast::etcd
