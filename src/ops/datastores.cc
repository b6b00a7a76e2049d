#include "ops/datastores.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "etcd_cluster/etcd_datastore.h"
#include "mysql/mysql_datastore.h"
#include "postgres/postgres_datastore.h"
#include "sqlite/sqlite_datastore.h"

namespace holdfast {

std::span<const DatastoreKind* const> DatastoreKinds() {
  static const std::vector<const DatastoreKind*> kinds = {&EtcdKind(), &SqliteKind(),
                                                          &PostgresKind(), &MysqlKind()};
  return kinds;
}

StatusOr<const DatastoreKind*> KindOfEndpoint(const Secret& endpoint) {
  const std::string& text = endpoint.reveal();
  std::vector<std::string> examples;
  for (const DatastoreKind* kind : DatastoreKinds()) examples.emplace_back(kind->endpoint_example);
  const std::string hint = "Endpoints look like: " + Join(examples, ", ");
  const std::size_t colon = text.find("://");
  if (colon == std::string::npos || colon == 0) {
    return WithHint(
        InvalidArgumentError("invalid datastore endpoint; endpoint should be a DSN URI in the "
                             "format <driver>://<connection-details>"),
        hint);
  }
  const std::string scheme = ToLower(text.substr(0, colon));
  for (const DatastoreKind* kind : DatastoreKinds()) {
    if (std::ranges::find(kind->schemes, scheme) != kind->schemes.end()) return kind;
  }
  return WithHint(InvalidArgumentError("invalid datastore endpoint; unknown driver: {}", scheme),
                  hint);
}

const DatastoreKind* KindOfPayload(ByteSpan first_bytes) {
  for (const DatastoreKind* kind : DatastoreKinds()) {
    if (kind->recognizes(first_bytes)) return kind;
  }
  return nullptr;
}

StatusOr<std::unique_ptr<Datastore>> OpenDatastore(const DatastoreOptions& options) {
  ASSIGN_OR_RETURN(const DatastoreKind* kind, KindOfEndpoint(options.endpoint));
  return kind->open(options);
}

}  // namespace holdfast
