#include "etcd_cluster/external_etcd.h"

#include <algorithm>

#include "base/text.h"
#include "etcd_cluster/endpoints.h"
#include "etcd_cluster/etcd_datastore.h"
#include "etcd_cluster/etcd_examiner.h"
#include "etcd_cluster/etcd_snapshot.h"
#include "etcd_cluster/key_access.h"
#include "etcd_cluster/live_restore.h"

namespace holdfast {
namespace {

// Comparing reads every member's whole database: Describe(), which is asked often, does it not more often than this.
constexpr absl::Duration kCompareInterval = absl::Minutes(10);
// Of a call to one member; comparing hashes has a deadline of its own.
constexpr absl::Duration kCallTimeout = absl::Seconds(5);

class ExternalDatastore final : public Datastore {
 public:
  explicit ExternalDatastore(ExternalEtcdSetup setup) : setup_(std::move(setup)) {}

  StatusOr<DatastoreState> Describe() override {
    const bool due = !compared_ || setup_.clock.Steady() - compared_at_ >= kCompareInterval;
    ASSIGN_OR_RETURN(const Judgement judgement, Look(due));
    if (judgement.candidates.empty()) return NoCandidate(judgement);
    const MemberView& best = judgement.candidates[0];
    DatastoreState state = StateOf(*best.status, setup_.location);
    state.warnings = judgement.warnings;
    // A member that is cut off still knows what it has.
    const auto page = best.client->Scan({.limit = 1, .keys_only = true, .serializable = true});
    RETURN_IF_ERROR(ExplainRefusal(page.status()));
    state.empty = page->count == 0;
    return state;
  }

  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) override {
    ASSIGN_OR_RETURN(const Judgement judgement, Look());
    if (judgement.candidates.empty()) return NoCandidate(judgement);
    std::vector<std::string> reasons;
    Status last;
    for (const MemberView& member : judgement.candidates) {
      if (options.stop.stop_requested()) return CancelledError("stopped");
      DatastoreState origin = StateOf(*member.status, setup_.location);
      origin.warnings = judgement.warnings;
      origin.warnings.insert(origin.warnings.end(), reasons.begin(), reasons.end());
      auto begun = BeginEtcdSnapshot(member.client, std::move(origin), false, options);
      if (begun.ok()) return begun;
      last = ExplainRefusal(begun.status());
      reasons.push_back(fmt::format("{}: {}", member.address, MessageOf(last)));
    }
    const Status all = MakeStatus(last.code(), Join(reasons, "; "));
    return HintOf(last).empty() ? all : WithHint(all, HintOf(last));
  }

  StatusOr<RestorePlan> CheckRestore(const RestoreOptions& options) override {
    ASSIGN_OR_RETURN(const MemberView member, Writable());
    RestorePlan plan{.goes_on_running = true};
    plan.lines.push_back(fmt::format(
        "The keys of the etcd {} at {} (cluster {:x}, revision {}) are made those of the "
        "snapshot while it runs.",
        member.status->version, setup_.location, member.status->cluster_id,
        member.status->revision));
    if (options.open_payload) {
      ASSIGN_OR_RETURN(const auto payload, options.open_payload());
      ASSIGN_OR_RETURN(
          const auto unpacked,
          UnpackedSnapshot::Make(setup_.fs, options.scratch_directory, *payload, options.stop));
      ASSIGN_OR_RETURN(const KeyDifference difference,
                       CompareWithSnapshot(*member.client, unpacked, options.stop));
      if (!options.clean) RETURN_IF_ERROR(CheckAddsOnly(difference));
      plan.lines.push_back(fmt::format(
          "Keys: {} are created, {} changed, {} deleted (not in the snapshot); {} are as "
          "in the snapshot already.",
          difference.missing, difference.changed, difference.more, difference.same));
      if (difference.leased > 0) {
        plan.lines.push_back(
            fmt::format("{} keys of the snapshot had a lease: they come back without one, and stay "
                        "until somebody deletes them.",
                        difference.leased));
      }
    }
    plan.lines.emplace_back(
        "Revisions go on from there; history, leases, users and roles are not brought back. Stop "
        "what "
        "writes to it (the Kubernetes API servers) first, and restart it afterwards.");
    return plan;
  }

  Status Restore(Source& payload, const RestoreOptions& options) override {
    ASSIGN_OR_RETURN(const MemberView member, Writable());
    ASSIGN_OR_RETURN(
        const auto unpacked,
        UnpackedSnapshot::Make(setup_.fs, options.scratch_directory, payload, options.stop));
    ASSIGN_OR_RETURN(const KeyDifference difference,
                     CompareWithSnapshot(*member.client, unpacked, options.stop));
    if (!options.clean) RETURN_IF_ERROR(CheckAddsOnly(difference));
    // Progress is of bytes; what is known are keys.
    const std::uint64_t changes =
        std::max<std::uint64_t>(difference.missing + difference.changed + difference.more, 1);
    const auto progress = [&](std::uint64_t done) {
      if (options.on_progress)
        options.on_progress(unpacked.bytes() * std::min(done, changes) / changes);
    };
    return MakeKeysEqual(*member.client, unpacked, progress, options.stop);
  }

  StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) override {
    ASSIGN_OR_RETURN(const Judgement judgement, Look());
    ASSIGN_OR_RETURN(const MemberView member, Serving(judgement));
    return ReadEtcdContent(*member.client, std::move(stop));
  }
  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token stop) override {
    ASSIGN_OR_RETURN(const Judgement judgement, Look());
    ASSIGN_OR_RETURN(const MemberView member, Serving(judgement));
    return ReadEtcdRows(*member.client, which, row, std::move(stop));
  }
  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) override {
    ASSIGN_OR_RETURN(const MemberView member, Writable());
    return WriteEtcdRows(member.client, which);
  }

 private:
  // Without `compare` by the last comparison.
  StatusOr<Judgement> Look(bool compare = true) {
    ASSIGN_OR_RETURN(const std::vector<EtcdMember> members, setup_.connect());
    ASSIGN_OR_RETURN(const std::vector<MemberView> views, AskMembers(members));
    if (compare) {
      ASSIGN_OR_RETURN(compared_, CompareKeys(views));
      compared_at_ = setup_.clock.Steady();
    }
    return Judge(views, *compared_);
  }

  static Status NoCandidate(const Judgement& judgement) {
    return WithHint(
        FailedPreconditionError("no etcd member is fit to be read: {}",
                                Join(judgement.warnings, "; ")),
        "If you know whose data are right, name only that member in --datastore-endpoint to take a "
        "snapshot; remove the others, and add them again with empty data directories.");
  }

  // A sound member that answers with the data of the whole cluster.
  StatusOr<MemberView> Serving(const Judgement& judgement) const {
    if (judgement.candidates.empty()) return NoCandidate(judgement);
    for (const MemberView& view : judgement.candidates) {
      if (view.in_sync && view.status->leader != 0 && !compared_->uncompared.contains(view.address))
        return view;
    }
    return UnavailableError("no etcd member at {} has a leader, is in sync and can be compared: {}",
                            setup_.location, Join(judgement.warnings, "; "));
  }

  // Also: it takes writes, and from us. What is written by what one member says is right for all only if all hold the same.
  StatusOr<MemberView> Writable() {
    ASSIGN_OR_RETURN(const Judgement judgement, Look());
    if (!compared_->corrupt.empty()) {
      std::vector<std::string> who;
      for (const auto& [address, why] : compared_->corrupt)
        who.push_back(fmt::format("{}: {}", address, why));
      return WithHint(
          FailedPreconditionError("nothing is written to an etcd whose members hold different "
                                  "data: {}",
                                  Join(who, "; ")),
          "Make them equal first: `etcdctl member remove` who is wrong, and `member add` it again "
          "with an empty data directory.");
    }
    ASSIGN_OR_RETURN(MemberView member, Serving(judgement));
    ASSIGN_OR_RETURN(const std::vector<etcd::Alarm> alarms, member.client->ListAlarms());
    if (!alarms.empty()) {
      return WithHint(
          FailedPreconditionError("this etcd has {} alarms and refuses writes", alarms.size()),
          "See `etcdctl alarm list`; free space, defragment, and disarm.");
    }
    return member;
  }

  const ExternalEtcdSetup setup_;
  std::optional<KeyComparison> compared_;
  absl::Duration compared_at_;
};

// A PEM file of the command line; empty if there is none.
StatusOr<std::string> ReadPem(FileSystem& fs, std::string_view flag, const std::string& path) {
  if (path.empty()) return std::string();
  auto text = ReadFile(fs, path, 1 * kMiB);
  RETURN_IF_ERROR(text.status(), "{}", flag);
  if (text->find("-----BEGIN ") == std::string::npos)
    return InvalidArgumentError("{}: {} is no PEM file", flag, path);
  return text;
}

StatusOr<std::vector<EtcdMember>> Connect(const DatastoreOptions& options,
                                          const EtcdEndpoints& endpoints) {
  etcd::ClientOptions client{.call_timeout = kCallTimeout};
  ASSIGN_OR_RETURN(client.ca_pem, ReadPem(options.fs, "--datastore-cafile", options.ca_file));
  ASSIGN_OR_RETURN(client.certificate_pem,
                   ReadPem(options.fs, "--datastore-certfile", options.certificate_file));
  ASSIGN_OR_RETURN(std::string key, ReadPem(options.fs, "--datastore-keyfile", options.key_file));
  client.key_pem = Secret(std::move(key));
  client.user = endpoints.user;
  client.password = endpoints.password;
  std::vector<EtcdMember> members;
  for (const EtcdEndpoint& endpoint : endpoints.list) {
    client.endpoint = endpoint.address;
    client.tls = endpoint.tls;
    ASSIGN_OR_RETURN(std::shared_ptr<etcd::Client> connected, etcd::Connect(client));
    members.push_back({endpoint.address, std::move(connected)});
  }
  return members;
}

StatusOr<std::unique_ptr<Datastore>> Open(const DatastoreOptions& options) {
  ASSIGN_OR_RETURN(const EtcdEndpoints endpoints, ParseEtcdEndpoints(options.endpoint));
  RETURN_IF_ERROR(Connect(options, endpoints).status());  // a file that is none is said at once
  return ExternalEtcd({.fs = options.fs,
                       .clock = options.clock,
                       .connect = [options, endpoints] { return Connect(options, endpoints); },
                       .location = endpoints.Location()});
}

}  // namespace

std::unique_ptr<Datastore> ExternalEtcd(ExternalEtcdSetup setup) {
  return std::make_unique<ExternalDatastore>(std::move(setup));
}

const DatastoreKind& EtcdKind() {
  static constexpr std::string_view kSchemes[] = {"http", "https"};
  static const DatastoreKind kKind{
      .name = "etcd",
      .schemes = kSchemes,
      .endpoint_example = "https://10.0.0.1:2379,https://10.0.0.2:2379",
      .default_compression = Compression::kNone,
      .is_etcd_snapshot = true,
      .recognizes = RecognizesEtcdSnapshot,
      .make_examiner = MakeDeepEtcdExaminer,
      .open = Open};
  return kKind;
}

}  // namespace holdfast
