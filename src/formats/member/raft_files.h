// The two files beside the database in a fresh data directory: the first WAL segment and the raft snapshot. They say that
// the cluster consists of these members, as if each had just been added. Byte for byte what etcdutl 3.5 writes. The tests
// boot 3.4 and 3.5 from it, which take the membership from here; 3.6 takes it from the database, as its sources say.
// Source: etcd etcdutl/snapshot/v3_snapshot.go (saveWALAndSnap), server/storage/wal/{encoder,wal}.go,
// server/etcdserver/api/snap/snapshotter.go, server/etcdserver/api/v2store. docs/formats/wal.md explains the records.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "formats/member/membership.h"

namespace holdfast {

inline constexpr char kFirstWalName[] = "0000000000000000-0000000000000000.wal";
// A WAL segment's size as etcd reserves it (10^6, not MiB).
inline constexpr std::uint64_t kWalSegmentBytes = 64'000'000;

// Raft index after the members were added, one entry each; the term is 1.
inline std::uint64_t FirstRaftIndex(const Membership& membership) {
  return membership.members.size();
}

// All records of the segment; zeros may follow. `node` is the id of the member whose directory this is.
std::string EncodeFirstWal(const Membership& membership, std::uint64_t node);

// Whose data a WAL segment is of: its first records say so, in every segment.
struct WalIdentity {
  std::uint64_t member_id = 0, cluster_id = 0;
};
// From the first bytes of a segment, of which kWalHeadBytes are enough. nullopt if they are no such records.
inline constexpr std::size_t kWalHeadBytes = 4096;
std::optional<WalIdentity> ReadWalIdentity(ByteSpan head);

// Name and content of the raft snapshot: "0000000000000001-0000000000000003.snap".
std::string RaftSnapshotName(const Membership& membership);
std::string EncodeRaftSnapshot(const Membership& membership);

}  // namespace holdfast
