// One program, three names: what differs between holdfast, rke2 and k3s stands in this table and nowhere else.
// A program started as "rke2" or "k3s" (a link to the same file) takes that row; what reads foreign data accepts all rows.
// Source of the rke2 and k3s rows: their documentation and code (paths, prefixes and ports as of v1.36).
#pragma once

#include <span>
#include <string_view>

namespace holdfast {

struct Distribution {
  std::string_view name;  // also the API prefix "/v1-<name>" and the words in messages
  std::string_view data_dir;
  std::string_view config_file;       // and <config_file>.d/
  std::string_view env_prefix;        // "HOLDFAST_"
  std::string_view label_domain;      // "etcd.holdfast.io"
  std::string_view etcd_key_prefix;   // "holdfast/"
  std::string_view metric_prefix;     // "holdfast_"
  std::string_view s3_header_prefix;  // "Holdfast": x-amz-meta-Holdfast-Cluster-Id
  int supervisor_port;
  // Their config files hold many keys that are none of ours (cni, disable, ...): those are ignored with one warning.
  bool foreign_config_keys;
};

// All rows; the first is our own.
std::span<const Distribution> Distributions();

// The row for argv[0]: by its last path component, else our own.
const Distribution& DistributionFor(std::string_view program);

}  // namespace holdfast
