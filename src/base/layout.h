// Where everything lies below the data directory: RKE2's layout, so that its habits and scripts keep working.
//
//   DATA/node-id                       0600  what --with-node-id appends to the node's name
//   DATA/server/                       0700
//     lock                             held while a server runs
//     token                            0600  K10<CA hash>::server:<password>
//     node-token, agent-token          links to token (agent-token: a file of its own if --agent-token is set)
//     cred/passwd                      0600  who may call the supervisor
//     tls/, tls/etcd/                  0700  certificates and keys; tls-<unix>/ are copies made by a reset
//     db/                              0700
//       etcd/                          0700  etcd's data: member/snap/db, member/wal; config, name 0600
//       etcd-old-<unix>/               set aside by a restore, never removed
//       etcd-new-<unix>/               a restore in the making (restore/swap_dir.h)
//       etcd-backup-<unix>/            data of a member that was removed and joins again; the newest five
//       servers.json                   0600  the other servers, for when the datastore cannot be read
//       lineage.json                   0600  ids the cluster had before resets (identity/lineage.h)
//       reset-flag                     0600  a reset finished and no normal start came after it
//       snapshots/                     0700  0600 each
//       .metadata/                     0700  0600 each: manifests
//   DATA/agent/                        0700  of `agent` (ops/enroll_agent.h)
#pragma once

#include <string>
#include <string_view>

#include "base/path.h"

namespace holdfast {

class DataLayout {
 public:
  explicit DataLayout(std::string_view data_dir) : data_(data_dir) {}

  const std::string& data_dir() const { return data_; }
  std::string server() const { return JoinPath(data_, "server"); }
  std::string lock() const { return JoinPath(server(), "lock"); }
  std::string node_id() const { return JoinPath(data_, "node-id"); }
  std::string agent() const { return JoinPath(data_, "agent"); }
  std::string token() const { return JoinPath(server(), "token"); }
  std::string node_token() const { return JoinPath(server(), "node-token"); }
  std::string agent_token() const { return JoinPath(server(), "agent-token"); }
  std::string cred() const { return JoinPath(server(), "cred"); }
  std::string passwd() const { return JoinPath(cred(), "passwd"); }
  std::string tls() const { return JoinPath(server(), "tls"); }
  std::string etcd_tls() const { return JoinPath(tls(), "etcd"); }
  std::string db() const { return JoinPath(server(), "db"); }
  std::string etcd() const { return JoinPath(db(), "etcd"); }
  std::string etcd_config() const { return JoinPath(etcd(), "config"); }
  std::string tombstone() const { return JoinPath(etcd(), "tombstone"); }
  std::string etcd_name() const { return JoinPath(etcd(), "name"); }
  std::string etcd_wal() const { return JoinPath(etcd(), "member/wal"); }
  std::string etcd_database() const { return JoinPath(etcd(), "member/snap/db"); }
  std::string etcd_member() const { return JoinPath(etcd(), "member"); }
  std::string lineage() const { return JoinPath(db(), "lineage.json"); }
  std::string reset_flag() const { return JoinPath(db(), "reset-flag"); }
  std::string snapshots() const { return JoinPath(db(), "snapshots"); }

 private:
  std::string data_;
};

}  // namespace holdfast
