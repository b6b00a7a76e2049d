// The configuration file of the etcd we run: RKE2's keys and values (docs/formats/names.md), one file for 3.4 to 3.6,
// which ignore keys they do not know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace holdfast::etcd {

struct Ports {
  int client = 2379, peer = 2380, metrics = 2381, client_http = 2382;
};

struct ServerConfig {
  std::string name;
  std::string data_dir;
  std::string node_address;  // besides loopback; "127.0.0.1" if the host has no other
  Ports ports;
  // Holds server-ca.crt, peer-ca.crt, server-client.{crt,key}, peer-server-client.{crt,key}, client.{crt,key}.
  std::string tls_dir;
  bool expose_metrics = false;
  // For a first start that joins a cluster: every member with its peer URLs, this one included, as etcd writes it
  // ("a=https://10.0.0.1:2380,b=..."). Empty: this member begins a cluster of its own. Without meaning once there are data.
  std::string join_cluster;
  // For the short life of a reset: it listens on loopback only, and elects itself at once, as it has no peers.
  bool for_reset = false;
  // Every other member is forgotten at start.
  bool force_new_cluster = false;
  absl::Duration auto_compaction_retention = absl::Hours(1);  // zero: off
  std::vector<std::string> extra_args;                        // "key=value" as of --etcd-arg

  std::string PeerUrl() const;
};

// "10.0.0.1:2379", "[fd00::1]:2379"
std::string HostPort(const std::string& address, int port);

// kInvalidArgument names the --etcd-arg that has no "=" or sets what we set ourselves (name, data-dir, ...).
StatusOr<std::string> EncodeServerConfig(const ServerConfig& config);

}  // namespace holdfast::etcd
