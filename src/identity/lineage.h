// Which clusters this one has been: the fence between data from before a reset and data after it.
//
// etcd's members know each other by the cluster id, which a reset makes anew. server/db/lineage.json remembers the ids from
// before: a server whose data have one of those holds what the cluster was, and must not serve it.
//
//   {"former":["cdf818194e3a8c32", ...]}     oldest first, at most 100, hex as etcd prints ids
//
// A file of its own, because a restore brings back exactly the keys that were saved. An id is written down before the data
// change: after a crash it may be there although the reset never happened, so the id that the data have now never counts.
// Deleting server/db, as RKE2's way of rejoining says, deletes it too; a server that joins is told the cluster's.
#pragma once

#include <string>
#include <vector>

#include "base/layout.h"
#include "os/file_system.h"

namespace holdfast {

// Without `current_id` (hex; may be empty), which the data have now. Empty if there is no file.
// kDataLoss with a hint if the file is damaged: whoever goes on then goes on without the fence, and must say so.
StatusOr<std::vector<std::string>> ReadFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                                                        const std::string& current_id);

// Adds ids (hex) that are not there, as the newest; texts that are no ids are left out.
// kDataLoss as above: nothing is written over a damaged file.
Status AddFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                           const std::vector<std::string>& ids);

// Writes exactly these; none: removes the file. To undo the above; others add.
Status SetFormerClusterIds(FileSystem& fs, const DataLayout& layout,
                           const std::vector<std::string>& ids);

}  // namespace holdfast
