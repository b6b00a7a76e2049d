// Reads everything that is reachable in a database, in key order, and checks the structure on the way: the same
// conditions as `bbolt check` (tx.Check), plus every bound that bbolt trusts.
//   - page numbers inside the database, each page (with its overflow) used once, header number right, branch or leaf;
//   - elements inside their page; keys ascending in a page, not below the separator above, below the next separator;
//   - tree depth bounded; a stored freelist names each page once and none that is in use, and no page is lost.
// Not checked, because the format has nothing to check it with: values, and the data of free pages.
#pragma once

#include <stop_token>

#include "formats/bbolt/database.h"

namespace holdfast::bbolt {

// Gets what the walk finds. Spans are valid during the call. A non-OK status ends the walk with it.
class Visitor {
 public:
  virtual ~Visitor() = default;
  // A bucket of the top level begins; its entries follow.
  virtual Status OnBucket(ByteSpan name) = 0;
  // One entry of that bucket. For a bucket within it (etcd has none) value is empty and its own entries are not reported.
  virtual Status OnEntry(ByteSpan key, ByteSpan value) = 0;
};

// One pass; memory is one bit per page and a page per tree level.
// kDataLoss names page and reason; kCancelled when `stop` is requested.
Status Walk(const Database& database, Visitor& visitor, std::stop_token stop = {});

}  // namespace holdfast::bbolt
