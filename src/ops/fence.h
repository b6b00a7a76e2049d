// Keeps data from before a reset, or of a member that was removed, from being served: a server with data asks the servers
// it knows what the cluster is now, before its etcd starts and while it runs.
//
// The tokens need not be alike: a restore to a time before a rotation brings the token of that time back. What is asked
// then is no secret, and the TLS connection proves that a server of our CA answers.
//
// Nobody can be asked: it starts, and etcd's own rules hold (an old member alone has no quorum, and a cluster id of its
// own).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/layout.h"
#include "os/file_system.h"
#include "protocol/cluster_api.h"

namespace holdfast {

// What our data say.
struct OwnData {
  std::string cluster_id;  // hex
  std::uint64_t member_id = 0;
  std::vector<std::string> former_cluster_ids;
};
// nullopt without data.
StatusOr<std::optional<OwnData>> ReadOwnData(FileSystem& fs, const DataLayout& layout);

enum class Standing {
  kUnknown,    // it cannot tell
  kMember,     // we belong to its cluster as it is
  kFormer,     // our data are its cluster's from before a reset
  kRemoved,    // our cluster, but we are no member any more
  kForeign,    // another cluster
  kPeerIsOld,  // its data are our cluster's from before a reset
};
// What one server's answer means for us.
Standing StandingWith(const OwnData& own, const ClusterInfo& peer);

// A server that may be asked.
struct KnownServer {
  std::string name, url;  // the name may be empty
  bool operator==(const KnownServer&) const = default;
};
struct PeerAnswer {
  KnownServer server;
  StatusOr<ClusterInfo> info;  // ids alone with another token
  bool other_token = false;    // it does not take ours
};

struct FenceVerdict {
  Standing standing = Standing::kUnknown;  // kUnknown and kMember: go on
  Status refusal;                          // why not, with what to do
};
// The worst of the answers. A foreign cluster counts only if it is at `server_url` (--server). kPermissionDenied.
FenceVerdict JudgeAnswers(const OwnData& own, const std::vector<PeerAnswer>& answers,
                          const std::string& server_url, const std::string& program);

// --- data set aside ---

// Moves db/etcd to db/<name>-<unix> (the first free second); returns its path, empty if there was none.
StatusOr<std::string> SetDataAside(FileSystem& fs, const DataLayout& layout,
                                   const std::string& name, absl::Time now);
// db/etcd-backup-<unix>: all but the newest five go.
Status RemoveOldBackups(FileSystem& fs, const DataLayout& layout);

// OK if a server without data may begin a cluster of its own. kFailedPrecondition if it was one of a cluster: a member
// that was removed, or whose data somebody took away, begins none because --server was forgotten.
Status CheckEmptyStart(FileSystem& fs, const DataLayout& layout);

// --- the servers we know, for when the datastore cannot be read: db/servers.json ---

// Empty if there is no file; one that is damaged is as none.
std::vector<KnownServer> ReadKnownServers(FileSystem& fs, const DataLayout& layout);
// Written only if it differs.
Status WriteKnownServers(FileSystem& fs, const DataLayout& layout,
                         const std::vector<KnownServer>& servers);

}  // namespace holdfast
