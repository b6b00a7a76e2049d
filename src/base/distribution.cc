#include "base/distribution.h"

#include <array>

#include "base/path.h"

namespace holdfast {
namespace {

constexpr std::array<Distribution, 3> kRows = {{
    {.name = "holdfast",
     .data_dir = "/var/lib/holdfast",
     .config_file = "/etc/holdfast/config.yaml",
     .env_prefix = "HOLDFAST_",
     .label_domain = "etcd.holdfast.io",
     .etcd_key_prefix = "holdfast/",
     .metric_prefix = "holdfast_",
     .s3_header_prefix = "Holdfast",
     .supervisor_port = 9345,
     .foreign_config_keys = false},
    {.name = "rke2",
     .data_dir = "/var/lib/rancher/rke2",
     .config_file = "/etc/rancher/rke2/config.yaml",
     .env_prefix = "RKE2_",
     .label_domain = "etcd.rke2.cattle.io",
     .etcd_key_prefix = "rke2/",
     .metric_prefix = "rke2_",
     .s3_header_prefix = "Rke2",
     .supervisor_port = 9345,
     .foreign_config_keys = true},
    {.name = "k3s",
     .data_dir = "/var/lib/rancher/k3s",
     .config_file = "/etc/rancher/k3s/config.yaml",
     .env_prefix = "K3S_",
     .label_domain = "etcd.k3s.cattle.io",
     .etcd_key_prefix = "k3s/",
     .metric_prefix = "k3s_",
     .s3_header_prefix = "K3s",
     .supervisor_port = 6443,
     .foreign_config_keys = true},
}};

}  // namespace

std::span<const Distribution> Distributions() { return kRows; }

const Distribution& DistributionFor(std::string_view program) {
  const std::string name = BaseName(program);
  for (const Distribution& row : kRows) {
    if (row.name == name) return row;
  }
  return kRows[0];
}

}  // namespace holdfast
