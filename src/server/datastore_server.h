// `holdfast server --datastore-endpoint`: beside a datastore that others run. No etcd of its own and no cluster: the
// schedule, the commands and the metrics of snapshots, for that datastore.
#pragma once

#include "server/server.h"

namespace holdfast {

// As RunServer. A datastore that cannot be reached is waited for, with the reason in the log and in /readyz; one that
// refuses us (wrong password, missing rights, versions that do not fit) ends the start with that error.
Status RunDatastoreServer(const ServerOptions& options, const ServerContext& context);

}  // namespace holdfast
