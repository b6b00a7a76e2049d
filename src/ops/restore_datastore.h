// `holdfast restore --datastore-endpoint`: a snapshot goes back into the datastore it was taken of, or into a new one. All
// that can be known is known before anything changes:
//
//   1. the file is read to its end: is it whole, is it what its manifest says, what is in it (and, where a whole file is
//      replaced, it is written beside its place at the same time)
//   2. the token opens the bootstrap data inside, if there are any
//   3. the datastore answers, fits, has room and the rights, and is empty (or --clean was given)
//   4. what is there now is kept: as a snapshot like any other, or beside the new where a whole file is replaced
//   5. the restore; then the keys are read back and compared, unless the file is byte for byte what was examined
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "datastore/datastore.h"
#include "ops/fetch_snapshot.h"
#include "ops/snapshots.h"

namespace holdfast {

// A snapshot of any kind, read to its end.
struct ExaminedSnapshot {
  const DatastoreKind* kind = nullptr;
  Compression compression = Compression::kNone;
  std::uint64_t file_bytes = 0;
  SnapshotFacts facts;
};

struct ExamineOptions {
  std::string scratch_directory;
  Sink* also_to = nullptr;  // gets the payload too, which is unproven until all is examined
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

// kDataLoss: it is not whole, is of no kind that we know, or is not what its manifest says.
StatusOr<ExaminedSnapshot> ExamineSnapshot(FileSystem& fs, const OpenedSnapshot& snapshot,
                                           const ExamineOptions& options);

// What kind it is, by its first bytes; null: none that we know.
StatusOr<const DatastoreKind*> KindOfSnapshot(const RandomAccess& snapshot);

struct RestoreDatastoreRequest {
  FetchRequest
      snapshot;  // an object becomes a file first: what is restored are the bytes that were proven
  DatastoreOptions datastore;
  bool clean = false;
  bool into_live = false;  // wanted for an etcd, which goes on running
  Secret token;            // any form; empty: none given
  SnapshotPlace place;     // where the safety snapshot goes
  Clock& clock;
  bool dry_run = false;  // nothing is written, not even beside its place
  // Asked once all is known and before anything changes; an error ends it: a dry run, a person who said no.
  std::function<Status(const ExaminedSnapshot&, const std::optional<Manifest>&,
                       const DatastoreState&, const std::vector<std::string>& plan)>
      confirm;
  ProgressFunction on_progress = {};
  std::stop_token stop = {};
};

struct RestoreDatastoreReport {
  std::string safety_snapshot;  // its name; empty: there was nothing to save
  SnapshotFacts restored;       // as read back
};

StatusOr<RestoreDatastoreReport> RestoreDatastore(const RestoreDatastoreRequest& request);

}  // namespace holdfast
