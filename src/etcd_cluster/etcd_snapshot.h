// A snapshot that one etcd member streams, as DatastoreSnapshot.
#pragma once

#include <memory>

#include "datastore/datastore.h"
#include "etcd/client.h"

namespace holdfast {

DatastoreState StateOf(const etcd::MemberStatus& member, std::string location);

// Begins it; kFailedPrecondition if the member is a learner. The snapshot keeps the client.
StatusOr<std::unique_ptr<DatastoreSnapshot>> BeginEtcdSnapshot(std::shared_ptr<etcd::Client> client,
                                                               DatastoreState origin,
                                                               bool is_learner,
                                                               const TakeOptions& options);

}  // namespace holdfast
