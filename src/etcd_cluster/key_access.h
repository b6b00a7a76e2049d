// Keys of a running etcd, all of them, in pages and batches that fit its limits.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "datastore/datastore.h"
#include "etcd/client.h"

namespace holdfast {

// Kubernetes' note up to where it has compacted this etcd. It says nothing about another one, and is no content
// (docs/formats/content-hash.md): neither brought back nor deleted.
inline constexpr std::string_view kCompactionNote = "compact_rev_key";

struct KeyView {
  std::int64_t revision = 0;  // of the whole store, at which all keys are read
  std::uint64_t keys = 0;
};
// All keys in their order, at one revision: `revision`, or if that is 0 the newest. kAborted if etcd compacts it meanwhile.
StatusOr<KeyView> ForEachKey(etcd::Client& client, std::int64_t revision, bool keys_only,
                             const std::function<Status(const etcd::KeyRecord&)>& act,
                             std::stop_token stop);

// Collects changes and sends them in transactions as large as etcd takes them.
class KeyBatch {
 public:
  explicit KeyBatch(etcd::Client& client) : client_(client) {}
  Status Add(etcd::KeyChange change);
  Status Flush();
  std::uint64_t written() const { return written_; }  // changes that etcd has

 private:
  etcd::Client& client_;
  std::vector<etcd::KeyChange> changes_;
  std::size_t bytes_ = 0;
  std::uint64_t written_ = 0;
};

// What Datastore says of the functions of the same names, for any etcd.
StatusOr<SnapshotFacts> ReadEtcdContent(etcd::Client& client, std::stop_token stop);
Status ReadEtcdRows(etcd::Client& client, Rows which,
                    const std::function<Status(const KeyRow&)>& row, std::stop_token stop);
StatusOr<std::unique_ptr<KeyWriter>> WriteEtcdRows(std::shared_ptr<etcd::Client> client,
                                                   Rows which);

}  // namespace holdfast
