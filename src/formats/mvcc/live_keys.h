// The keys that a client of this etcd would see, in the order in which they were written last.
#pragma once

#include <functional>
#include <stop_token>

#include "formats/bbolt/database.h"
#include "formats/mvcc/revision.h"

namespace holdfast::mvcc {

struct LiveKey {
  Revision revision;  // that wrote it
  ByteSpan key, value;
  std::int64_t lease = 0;  // 0: none
};

// Walks the database twice, and checks its structure on the way; takes about 60 bytes of memory a key. The spans are valid
// during the call; a status that is not OK ends it. kDataLoss as Inspect().
Status ForEachLiveKey(const bbolt::Database& database,
                      const std::function<Status(const LiveKey&)>& act, std::stop_token stop);

}  // namespace holdfast::mvcc
