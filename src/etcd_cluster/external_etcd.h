// Somebody else's etcd cluster as a datastore, given its members: apart from how they are connected, for tests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datastore/datastore.h"
#include "etcd_cluster/survey.h"

namespace holdfast {

struct ExternalEtcdSetup {
  FileSystem& fs;
  Clock& clock;
  // At least one, newly connected. Each call begins so: certificates that were renewed on disk count, and a member that was
  // down is asked at once (a channel that gRPC keeps waits up to two minutes before it tries again).
  std::function<StatusOr<std::vector<EtcdMember>>()> connect;
  std::string location;  // for people
};
std::unique_ptr<Datastore> ExternalEtcd(ExternalEtcdSetup setup);

}  // namespace holdfast
