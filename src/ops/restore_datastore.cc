#include "ops/restore_datastore.h"

#include <array>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "identity/sealed_bootstrap.h"
#include "keys/token.h"
#include "ops/datastores.h"
#include "stream/decompress.h"
#include "stream/pump.h"

namespace holdfast {
namespace {

constexpr std::size_t kFirstBytes = 4096;

Status UnknownKind(const std::string& path) {
  std::vector<std::string> names;
  for (const DatastoreKind* kind : DatastoreKinds()) names.emplace_back(kind->name);
  return DataLossError("{} is no snapshot of a datastore that is known here ({})", path,
                       Join(names, ", "));
}

Status CheckManifest(const OpenedSnapshot& snapshot, const ExaminedSnapshot& found) {
  if (!snapshot.manifest || !snapshot.manifest->ours()) return OkStatus();
  const Manifest& m = *snapshot.manifest;
  const std::string path = snapshot.bytes->path();
  const auto differs = [&](std::string_view what, std::string_view expected,
                           std::string_view got) -> Status {
    if (expected.empty() || expected == got) return OkStatus();
    return DataLossError("{} is not what its metadata say: expected {} {}, got {}", path, what,
                         expected, got);
  };
  RETURN_IF_ERROR(differs("a snapshot of", m.datastore, found.kind->name));
  RETURN_IF_ERROR(differs("sha256", m.sha256, found.facts.sha256));
  return differs("content hash", m.content_hash, found.facts.content_hash);
}

class Restore {
 public:
  explicit Restore(const RestoreDatastoreRequest& request)
      : r_(request), fs_(request.datastore.fs) {}

  StatusOr<RestoreDatastoreReport> Run() {
    ASSIGN_OR_RETURN(snapshot_, FetchSnapshot(r_.snapshot));
    const Status status = RunWithSnapshot();
    RemoveDownload(r_.snapshot.place, snapshot_);
    RETURN_IF_ERROR(status);
    return std::move(report_);
  }

 private:
  std::function<void(std::uint64_t, std::uint64_t)> Step(std::string_view name) const {
    if (!r_.on_progress) return {};
    return [this, name](std::uint64_t done, std::uint64_t total) {
      r_.on_progress(name, done, total);
    };
  }

  Status RunWithSnapshot() {
    RETURN_IF_ERROR(StageIfItCan());
    ASSIGN_OR_RETURN(found_, ExamineSnapshot(fs_, snapshot_,
                                             {.scratch_directory = r_.place.directory,
                                              .also_to = staged_.get(),
                                              .on_progress = Step("Verifying"),
                                              .stop = r_.stop}));
    LogInfo("The snapshot is good: {}", Describe(found_.facts));
    RETURN_IF_ERROR(OpenTarget());
    RETURN_IF_ERROR(CheckToken());
    auto described = target_->Describe();
    const RestoreOptions options = Options(found_.facts);
    auto checked = staged_ ? staged_->plan() : target_->CheckRestore(options);
    // What is damaged or gone is what a restore is for, if nothing has to be read from it before.
    if (!described.ok() && checked.ok() && checked->sets_aside) {
      described = DatastoreState{.kind = std::string(found_.kind->name),
                                 .empty = absl::IsNotFound(described.status())};
    }
    ASSIGN_OR_RETURN(const DatastoreState state, std::move(described));
    ASSIGN_OR_RETURN(RestorePlan plan, std::move(checked));
    RETURN_IF_ERROR(CheckWanted(plan, state));
    const bool save = !state.empty && !plan.sets_aside;
    if (save) plan.lines.emplace_back("a snapshot of what is there now is taken first");
    RETURN_IF_ERROR(r_.confirm(found_, snapshot_.manifest, state, plan.lines));
    if (save) RETURN_IF_ERROR(SaveBefore());
    // The last moment: from here on it is done.
    if (r_.stop.stop_requested()) return CancelledError("stopped; nothing was changed");
    RETURN_IF_ERROR(Bring(options));
    report_.restored = found_.facts;
    return plan.sets_aside ? OkStatus() : Compare();
  }

  RestoreOptions Options(const SnapshotFacts& facts) const {
    return {.clean = r_.clean,
            .facts = facts,
            .scratch_directory = r_.place.directory,
            .open_payload = [this]() -> StatusOr<std::unique_ptr<Source>> {
              return OpenDecompressed(*snapshot_.bytes);
            },
            .on_progress =
                [step = Step("Restoring"), total = facts.bytes](std::uint64_t done) {
                  if (step) step(done, total);
                },
            .stop = r_.stop};
  }

  // A snapshot that is no good, or of another kind, is left to those who say best what is wrong with it.
  Status StageIfItCan() {
    if (r_.dry_run) return OkStatus();
    const auto kind = KindOfSnapshot(*snapshot_.bytes);
    const auto wanted = KindOfEndpoint(r_.datastore.endpoint);
    const auto payload = OpenDecompressed(*snapshot_.bytes);
    if (!kind.ok() || !wanted.ok() || *kind != *wanted || !payload.ok()) return OkStatus();
    ASSIGN_OR_RETURN(target_, (*kind)->open(r_.datastore));
    // As far as is known now.
    ASSIGN_OR_RETURN(staged_, target_->Stage(Options({.bytes = (*payload)->size().value_or(0)})));
    return OkStatus();
  }

  static std::string Describe(const SnapshotFacts& facts) {
    std::string out = FormatBytes(facts.bytes);
    if (facts.revision) out += fmt::format(", revision {}", *facts.revision);
    if (facts.live_keys) out += fmt::format(", {} live keys", *facts.live_keys);
    return out;
  }

  Status OpenTarget() {
    if (target_) return OkStatus();
    ASSIGN_OR_RETURN(const DatastoreKind* kind, KindOfEndpoint(r_.datastore.endpoint));
    if (kind != found_.kind) {
      return WithHint(
          FailedPreconditionError("{} is a snapshot of {}, and the endpoint is {}",
                                  snapshot_.bytes->path(), found_.kind->name, kind->name),
          fmt::format("Restore it into a {} first; then `datastore migrate` copies its keys to {}.",
                      found_.kind->name, kind->name));
    }
    ASSIGN_OR_RETURN(target_, kind->open(r_.datastore));
    return OkStatus();
  }

  // The bootstrap data inside belong to the cluster whose datastore this is; without its token nobody can use what is
  // restored. Those in the manifest are of the server that took the snapshot.
  Status CheckToken() {
    const SnapshotFacts& facts = found_.facts;
    if (facts.bootstrap.empty()) return OkStatus();
    if (r_.token.empty()) {
      std::vector<std::string> hashes;
      for (const auto& [key, value] : facts.bootstrap) hashes.emplace_back(BaseName(key));
      return WithHint(
          UnauthenticatedError("the snapshot holds bootstrap data of a cluster (token hash {}), "
                               "and no token was given to open them",
                               Join(hashes, ", ")),
          "Give the token of that cluster's servers with --token or --token-file: without it "
          "nobody "
          "can start a server on the restored data.");
    }
    ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(r_.token.reveal()));
    return OpenBootstrap(facts.bootstrap, token.password, "the snapshot").status();
  }

  Status CheckWanted(const RestorePlan& plan, const DatastoreState& state) const {
    if (plan.goes_on_running && !r_.into_live) {
      return WithHint(
          FailedPreconditionError("{} is running, and a restore would write into it",
                                  state.location),
          "Give --into-live to write the snapshot's keys into the running datastore; or make data "
          "directories for a new cluster: restore SNAPSHOT --data-dir=DIR, without an endpoint.");
    }
    return OkStatus();
  }

  Status SaveBefore() {
    Mutex one;
    SaveRequest save{.base = "pre-restore",
                     .compression = found_.kind->default_compression,
                     .stop = r_.stop,
                     .on_progress = Step("Saving what is there")};
    if (!r_.token.empty()) {
      ASSIGN_OR_RETURN(const ServerToken token, ParseServerToken(r_.token.reveal()));
      save.token_hash = TokenHash(token.password);
    }
    ASSIGN_OR_RETURN(const CapturedSnapshot saved,
                     SaveSnapshot(r_.place, *target_, r_.clock, one, save),
                     "the snapshot before the restore, and so nothing was changed");
    report_.safety_snapshot = saved.name;
    return OkStatus();
  }

  Status Bring(const RestoreOptions& options) {
    if (staged_) return staged_->Commit();
    ASSIGN_OR_RETURN(const auto payload, options.open_payload());
    return Explain(target_->Restore(*payload, options));
  }

  Status Compare() {
    ASSIGN_OR_RETURN(report_.restored, target_->ReadContent(r_.stop), "after the restore");
    const SnapshotFacts& expected = found_.facts;
    if (expected.content_hash.empty() || expected.content_hash == report_.restored.content_hash)
      return OkStatus();
    return Explain(DataLossError(
        "after the restore the datastore holds other keys than the snapshot: content hash {} of {} "
        "keys, expected {} of {}",
        report_.restored.content_hash, report_.restored.live_keys.value_or(0),
        expected.content_hash, expected.live_keys.value_or(0)));
  }

  // What was there before is not lost.
  Status Explain(const Status& status) const {
    if (status.ok() || report_.safety_snapshot.empty()) return status;
    return Annotate(status, fmt::format("what the datastore held before is in snapshot {}",
                                        report_.safety_snapshot));
  }

  const RestoreDatastoreRequest& r_;
  FileSystem& fs_;
  RestoreDatastoreReport report_;
  OpenedSnapshot snapshot_;
  ExaminedSnapshot found_;
  std::unique_ptr<Datastore> target_;
  std::unique_ptr<StagedRestore> staged_;  // null: the target has no such thing, or it is a dry run
};

}  // namespace

StatusOr<const DatastoreKind*> KindOfSnapshot(const RandomAccess& snapshot) {
  ASSIGN_OR_RETURN(const std::uint64_t bytes, snapshot.Size());
  if (bytes == 0) return nullptr;
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(snapshot));
  std::array<std::uint8_t, kFirstBytes> first;
  std::size_t size = 0;
  while (size < first.size()) {
    ASSIGN_OR_RETURN(const std::size_t got, source->Read(MutableByteSpan(first).subspan(size)));
    if (got == 0) break;
    size += got;
  }
  return KindOfPayload(ByteSpan(first).first(size));
}

StatusOr<ExaminedSnapshot> ExamineSnapshot(FileSystem& fs, const OpenedSnapshot& snapshot,
                                           const ExamineOptions& options) {
  const RandomAccess& file = *snapshot.bytes;
  ExaminedSnapshot out;
  ASSIGN_OR_RETURN(out.file_bytes, file.Size());
  if (out.file_bytes == 0) return DataLossError("{} is empty", file.path());
  ASSIGN_OR_RETURN(out.kind, KindOfSnapshot(file));
  if (out.kind == nullptr) return UnknownKind(file.path());
  ASSIGN_OR_RETURN(const auto source, OpenDecompressed(file));
  out.compression = source->compression();
  const bool is_payload = out.compression == Compression::kNone && !file.IsFar();
  std::unique_ptr<Examiner> examiner;
  if (is_payload && out.kind->make_file_examiner != nullptr) {
    ASSIGN_OR_RETURN(examiner, out.kind->make_file_examiner(fs, file.path(), options.stop));
  } else {
    examiner = out.kind->make_examiner(fs, options.scratch_directory, options.stop);
  }
  std::vector<Sink*> sinks = {examiner.get()};
  if (options.also_to != nullptr) sinks.push_back(options.also_to);
  const auto on_progress = [&, total = source->size().value_or(0)](std::uint64_t done) {
    if (options.on_progress) options.on_progress(done, total);
  };
  const auto before = fs.Stat(file.path());  // of a file on this host
  RETURN_IF_ERROR(Pump(*source, sinks, {.stop = options.stop, .on_progress = on_progress}).status(),
                  "{}", file.path());
  out.facts = examiner->facts();
  // What the examiner looked into and what came by must be one thing.
  if (is_payload) {
    ASSIGN_OR_RETURN(const FileInfo after, fs.Stat(file.path()));
    if (!before.ok() || before->modified_at != after.modified_at ||
        before->size_bytes != after.size_bytes)
      return DataLossError("{} changed while it was read", file.path());
  }
  RETURN_IF_ERROR(CheckManifest(snapshot, out));
  return out;
}

StatusOr<RestoreDatastoreReport> RestoreDatastore(const RestoreDatastoreRequest& request) {
  return Restore(request).Run();
}

}  // namespace holdfast
