// Whose data are these? Which cluster and which member an etcd directory belongs to, and who the others are, told from its
// files while no etcd runs on it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/member/membership.h"
#include "formats/member/raft_files.h"
#include "os/file_system.h"

namespace holdfast {

// By the newest WAL segment in `wal_dir`. nullopt if there is none; kDataLoss if it does not begin as one.
StatusOr<std::optional<WalIdentity>> ReadIdentity(FileSystem& fs, const std::string& wal_dir);

// The members in a database file, without reading the rest of it. What stands only in the log is not seen.
// kDataLoss if it is damaged.
StatusOr<std::vector<Member>> ReadMembers(FileSystem& fs, const std::string& database);

// The same of a bucket that was read already (mvcc::Inspection). Entries that are no members are left out.
std::vector<Member> MembersFrom(const std::map<std::string, std::string>& bucket);

}  // namespace holdfast
