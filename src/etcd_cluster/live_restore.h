// The keys of a snapshot, brought back into an etcd that runs. Each key is written anew: revisions go on from where etcd
// is, leases, users and history are not brought back. Not atomic (etcd has no transaction of that size), but what is as it
// should be is not written again: what broke off is continued by running it again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "datastore/datastore.h"
#include "etcd/client.h"

namespace holdfast {

// A payload unpacked into a file without a name; its digest was right.
class UnpackedSnapshot {
 public:
  // kResourceExhausted, kDataLoss; others as `payload`.
  static StatusOr<UnpackedSnapshot> Make(FileSystem& fs, const std::string& directory,
                                         Source& payload, std::stop_token stop);
  const RandomAccess& file() const { return *file_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  explicit UnpackedSnapshot(std::unique_ptr<File> file) : file_(std::move(file)) {}
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
};

// How the keys of etcd differ from those of a snapshot.
struct KeyDifference {
  std::uint64_t same = 0;
  std::uint64_t missing = 0, changed = 0;  // to be written
  std::uint64_t more = 0;                  // not in the snapshot: to be deleted
  std::uint64_t leased = 0;                // in the snapshot with a lease
  std::int64_t revision = 0;               // of etcd, when it was looked at

  // What is there stays as it is.
  bool only_adds() const { return changed == 0 && more == 0; }
};
StatusOr<KeyDifference> CompareWithSnapshot(etcd::Client& client, const UnpackedSnapshot& snapshot,
                                            std::stop_token stop);

// The refusal of a restore without `clean` that would change or delete something.
Status CheckAddsOnly(const KeyDifference& difference);

// Makes the keys of etcd those of the snapshot, and looks afterwards whether they are. kAborted: they are not, somebody
// else writes. `on_progress`: keys written and deleted so far. An error says how far it came.
Status MakeKeysEqual(etcd::Client& client, const UnpackedSnapshot& snapshot,
                     const std::function<void(std::uint64_t done)>& on_progress,
                     std::stop_token stop);

}  // namespace holdfast
