#include "ops/migrate.h"

#include "formats/kine/content.h"

namespace holdfast {
namespace {

// What the rows that pass by amount to.
class Tally {
 public:
  void Add(const KeyRow& row) {
    reader_.BeginRow(row.id, row.name, row.deleted, row.prev_revision);
    reader_.Value(BytesOf(row.value));
    reader_.EndRow();
    ++rows_;
  }
  std::uint64_t rows() const { return rows_; }
  kine::Content Finish() { return reader_.Finish(); }

 private:
  kine::ContentReader reader_;
  std::uint64_t rows_ = 0;
};

}  // namespace

StatusOr<MigrateReport> Migrate(const MigrateRequest& request) {
  MigrateReport report;
  ASSIGN_OR_RETURN(const SnapshotFacts before, request.from.ReadContent(request.stop),
                   "the source");
  if (before.content_hash.empty()) {
    return WithHint(FailedPreconditionError("the source holds no keys: it has no kine table"),
                    "Only etcd and databases that kine keeps its keys in can be migrated; any "
                    "other database is moved with a snapshot and restore.");
  }
  Tally tally;
  {
    ASSIGN_OR_RETURN(const auto writer, request.to.WriteRows(request.which), "the target");
    const auto copy = [&](const KeyRow& row) -> Status {
      if (request.stop.stop_requested()) return CancelledError("stopped");
      RETURN_IF_ERROR(writer->Write(row), "the target");
      tally.Add(row);
      if (request.on_progress) request.on_progress(tally.rows(), before.live_keys.value_or(0));
      return OkStatus();
    };
    RETURN_IF_ERROR(request.from.ReadRows(request.which, copy, request.stop));
    RETURN_IF_ERROR(writer->Commit(), "the target");
  }
  report.rows = tally.rows();
  const kine::Content copied = tally.Finish();
  report.source.content_hash = copied.content_hash;
  report.source.live_keys = copied.live_keys;
  ASSIGN_OR_RETURN(report.target, request.to.ReadContent(request.stop), "the target");
  if (report.target.content_hash != copied.content_hash) {
    return DataLossError(
        "the target holds other keys than were copied: content hash {} of {} keys, expected {} of "
        "{}",
        report.target.content_hash, report.target.live_keys.value_or(0), copied.content_hash,
        copied.live_keys);
  }
  ASSIGN_OR_RETURN(const SnapshotFacts after, request.from.ReadContent(request.stop), "the source");
  if (after.content_hash != copied.content_hash) {
    return WithHint(
        AbortedError("the source was written to while it was copied: the target holds its keys as "
                     "they were at one moment ({}), the source has others by now",
                     copied.content_hash),
        "Stop what writes to the source, empty the target, and migrate again.");
  }
  return report;
}

}  // namespace holdfast
