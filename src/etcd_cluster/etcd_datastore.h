// etcd as a datastore (datastore/datastore.h): the server's own, over the client that it has anyway, or somebody else's
// cluster. The payload is the plain snapshot, byte for byte what etcd streamed.
#pragma once

#include <memory>

#include "datastore/datastore.h"
#include "etcd/client.h"

namespace holdfast {

// Another's cluster, over `https://h1:2379,https://h2:2379` (etcd_cluster/endpoints.h).
//   Describe, Snapshot: all members are asked; warnings name those that are down, lag, have an alarm or other data than the
//     majority. A snapshot comes from a voter that is in sync and not the leader, if there is one; never from a learner or
//     from a member whose data differ. A member that fails before its first byte is followed by the next.
//   Restore: while it runs (etcd_cluster/live_restore.h). Into new data directories: restore/.
const DatastoreKind& EtcdKind();

// One member, ours: no other is asked. It is restored offline (--cluster-reset), not through Restore().
std::unique_ptr<Datastore> EmbeddedEtcd(std::shared_ptr<etcd::Client> client);

}  // namespace holdfast
