// A FakeEtcd as what is saved.
#pragma once

#include <memory>

#include "etcd_cluster/etcd_datastore.h"
#include "testing/fake_etcd.h"

namespace holdfast::testing {

// `etcd` must outlive it.
inline std::unique_ptr<Datastore> DatastoreOf(FakeEtcd& etcd) {
  return EmbeddedEtcd(std::shared_ptr<etcd::Client>(&etcd, [](etcd::Client*) {}));
}

}  // namespace holdfast::testing
