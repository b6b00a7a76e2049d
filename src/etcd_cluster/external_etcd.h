// Somebody else's etcd cluster as a datastore, given its members: apart from how they are connected, for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "datastore/datastore.h"
#include "etcd_cluster/survey.h"

namespace holdfast {

struct ExternalEtcdSetup {
  FileSystem& fs;
  Clock& clock;
  std::vector<EtcdMember> members;  // at least one
  std::string location;             // for people
};
std::unique_ptr<Datastore> ExternalEtcd(ExternalEtcdSetup setup);

}  // namespace holdfast
