// Puts a restored etcd directory in the place of the one that was there, so that at every moment, also after a power cut,
// one of the two is whole and it is known which one counts.
//
//   db/etcd            the live directory
//   db/etcd-new-<t>    the restored one while it is built
//   db/etcd-old-<t>    what was live before; never removed
//
// A file restore.json in the restored directory, written before anything else in it, names both: wherever that file is, is
// the new data. (Old data may hold one of their own, of an earlier restore that nobody finished: it counts again if they
// come back.) Steps, and what a crash after each leaves (RecoverSwap() is called at every start):
//   1. make etcd-new-<t> with restore.json, build in it   -> an unfinished build: removed
//   2. restore.json says complete                         -> as above if etcd is there; else it is put in place
//   3. exchange etcd and etcd-new-<t> in one step         -> the swap is completed: etcd-new-<t> is named etcd-old-<t>
//      (where the kernel cannot: etcd -> etcd-old-<t>     -> etcd-new-<t> is put in place
//       then etcd-new-<t> -> etcd)
//   4. name the old one etcd-old-<t>                      -> the restore is finished by the caller
//   5. caller checks and finishes, removes restore.json   -> done
//   or rolls back: restore.json says incomplete, etcd -> etcd-new-<t>
//       then etcd-old-<t> -> etcd                         -> the old data are put back in place
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "os/file_system.h"

namespace holdfast {

class DirectorySwap {
 public:
  // Makes an empty db/etcd-new-<t> for the first free second from `now` on. `fs` must outlive this.
  // `snapshot` is only remembered, for messages.
  static StatusOr<DirectorySwap> Begin(FileSystem& fs, const std::string& db_dir, absl::Time now,
                                       const std::string& snapshot);

  DirectorySwap(DirectorySwap&& other) noexcept;
  DirectorySwap& operator=(DirectorySwap&&) = delete;
  // Removes the new directory unless it was swapped in.
  ~DirectorySwap();

  // The directory to build in, and where it will be.
  std::string staging() const { return Path(new_name_); }
  std::string live() const { return Path("etcd"); }
  // Where the old data are after Swap(); empty if there were none.
  std::string old() const { return had_old_ ? Path(old_name_) : std::string(); }

  // The new directory becomes the live one. On an error the old one is live as before.
  Status Swap();
  // After Swap(): the old directory becomes the live one again and the new one is removed.
  Status RollBack();
  // After Swap(): the restore is complete, nothing needs to be recovered any more.
  Status Finish();

 private:
  DirectorySwap(FileSystem& fs, std::string db_dir) : fs_(&fs), db_dir_(std::move(db_dir)) {}
  std::string Path(const std::string& name) const;
  Status WriteMarker(const std::string& directory, bool complete) const;

  FileSystem* fs_;
  std::string db_dir_, new_name_, old_name_, snapshot_;
  bool had_old_ = false;
  enum class State { kNone, kStaged, kSwapped, kDone } state_ = State::kNone;
};

// A restore that put its data in place but was interrupted before its caller finished.
struct InterruptedRestore {
  std::string snapshot;  // that was restored
  std::string old;       // path of what was live before; empty if there was nothing
};

// Puts in order what a crash left, as listed above, and says what it did in the log. Call before etcd is started, while
// the data directory is locked.
// kFailedPrecondition: there is no live directory, but old or half-built ones: starting would begin an empty cluster.
// `starting_empty_is_fine`: a restore will bring the data, so this is no error, nor is a live directory that cannot be read.
StatusOr<std::optional<InterruptedRestore>> RecoverSwap(FileSystem& fs, const std::string& db_dir,
                                                        bool starting_empty_is_fine);

// Ends the state that RecoverSwap() reported.
Status FinishInterruptedRestore(FileSystem& fs, const std::string& db_dir);

}  // namespace holdfast
