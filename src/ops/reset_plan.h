// What a reset would do, found out without touching anything: `server --cluster-reset --dry-run`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "ops/former_peers.h"
#include "ops/reset.h"
#include "restore/build_data_dir.h"
#include "verify/verify_snapshot.h"

namespace holdfast {

struct ResetPlan {
  struct Snapshot {
    std::string path;  // or s3://BUCKET/KEY
    // The manifest's, else the file's time, or what an object's name says.
    std::optional<absl::Time> taken_at;
    std::optional<Manifest>
        manifest;  // nullopt: a foreign file, or moved without what we know of it
    std::optional<VerifiedSnapshot> verified;  // nullopt: it is damaged
  };
  struct Data {
    std::string directory;
    FormerCluster cluster;
    std::optional<mvcc::Inspection> found;  // of the database; nullopt: it cannot be read
  };

  std::optional<Snapshot> snapshot;  // nullopt: none was asked for or found
  std::optional<Data> live;          // nullopt: there are none
  std::string token_hash;  // that opens the bootstrap data; empty: there are none, or it does not
  std::vector<Member> peers;
  std::optional<SpaceNeeded> needed;
  std::uint64_t free_bytes = 0;
  std::string
      unfinished;  // a restore was interrupted here: what it left, which the reset puts in order first
};

// Fills `plan` as far as things can be known, and returns the first error that the reset would end with. Reads the
// snapshot and the live database whole. A compressed snapshot is unpacked in `scratch_directory`, to a file without a name.
Status PlanReset(FileSystem& fs, const ResetRequest& request, const std::string& scratch_directory,
                 ResetPlan& plan);

}  // namespace holdfast
