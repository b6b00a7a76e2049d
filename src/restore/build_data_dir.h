// Turns a snapshot into an etcd data directory: what `etcdutl snapshot restore` does, natively and checked first.
//
// The snapshot streams once, also from far away: decompressed if need be, hashed on one thread, written on another. So what
// is verified are the very bytes that were written. Its structure is walked meanwhile (or, if it was compressed or is far,
// right after, in the copy). Then a few pages are appended that make it a new cluster of the given
// members (bbolt/patch.h), and the WAL and raft snapshot are written beside it (member/raft_files.h). The result is for etcd
// 3.4, 3.5 and 3.6; the tests boot the first two.
// Source of the steps: etcd etcdutl/snapshot/v3_snapshot.go.
//
// What a crash or an error leaves behind: nothing that has the name of a finished directory is touched; on an error all
// that was made is removed, after a crash the directory is incomplete and has no `member/wal`, which is made last.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "formats/member/membership.h"
#include "formats/mvcc/inspect.h"
#include "os/file_system.h"

namespace holdfast {

struct BuildOptions {
  std::string data_dir;  // must exist; may hold other files, but no "member"
  std::string wal_dir;   // must not exist; empty: <data_dir>/member/wal
  Membership membership;
  std::uint64_t node = 0;  // the member whose directory this is

  // A snapshot without digest (a copy of member/snap/db) is taken only with this; a digest that is there is not checked
  // then.
  bool skip_hash_check = false;
  // What the digest must be, in hex, if somebody wrote it down when the snapshot was taken; empty: nobody did.
  std::string expected_sha256;
  // Raises the revision by this much, so that no client has seen a later one; needs mark_compacted, which makes every
  // older revision "compacted", so that old watches start again. Both or none.
  std::uint64_t bump_revision = 0;
  bool mark_compacted = false;
  // Alarms that were raised when the snapshot was taken are dropped; otherwise a NOSPACE alarm keeps the cluster read-only.
  bool clear_alarms = false;

  // Called when the snapshot is known to be good, with what is in it; an error ends the build.
  std::function<Status(const mvcc::Inspection&)> approve;
  // Called often with bytes done of `snapshot_bytes`.
  std::function<void(std::uint64_t done)> on_progress;
  std::stop_token stop;
};

struct SnapshotSize {
  std::uint64_t file_bytes = 0;
  std::uint64_t snapshot_bytes = 0;  // uncompressed; an estimate if the container does not say
};

// kDataLoss if the file is empty or a container that we do not accept.
StatusOr<SnapshotSize> MeasureSnapshot(const RandomAccess& snapshot);

// Disk space a restore needs: database, WAL (etcd reserves two segments), and something to start with.
struct SpaceNeeded {
  std::uint64_t database = 0, wal = 0, reserve = 0;
  std::uint64_t total() const { return database + wal + reserve; }
};
SpaceNeeded SpaceFor(const SnapshotSize& size);

// kResourceExhausted names what is needed and what is free at `directory`.
Status CheckSpace(FileSystem& fs, const std::string& directory, const SpaceNeeded& needed);

// kInvalidArgument: options that contradict; kAlreadyExists: a directory that must not be there is;
// kDataLoss: the snapshot is damaged, and how; kResourceExhausted: the disk is full.
StatusOr<mvcc::Inspection> BuildDataDir(FileSystem& fs, const RandomAccess& snapshot,
                                        const BuildOptions& options);

// The same with the data that <data_dir>/member holds already, of an etcd that ran there and wrote all to its database:
// they stay where they are and become those of a new cluster; log and raft snapshots are made anew. There is no digest to
// check. On an error the directory is of no more use.
StatusOr<mvcc::Inspection> RebuildDataDir(FileSystem& fs, const BuildOptions& options);

// What a copy of a data directory needs, to be rebuilt; `member` is its directory of that name.
StatusOr<SpaceNeeded> SpaceForCopyOf(FileSystem& fs, const std::string& member);

}  // namespace holdfast
