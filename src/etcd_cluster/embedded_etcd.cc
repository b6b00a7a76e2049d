#include "etcd_cluster/etcd_datastore.h"
#include "etcd_cluster/etcd_snapshot.h"
#include "etcd_cluster/key_access.h"

namespace holdfast {
namespace {

class EmbeddedDatastore final : public Datastore {
 public:
  explicit EmbeddedDatastore(std::shared_ptr<etcd::Client> client) : client_(std::move(client)) {}

  StatusOr<DatastoreState> Describe() override {
    ASSIGN_OR_RETURN(const etcd::MemberStatus member, client_->GetStatus());
    return StateOf(member, kLocation);
  }

  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) override {
    ASSIGN_OR_RETURN(const etcd::MemberStatus member, client_->GetStatus(),
                     "failed to check etcd status for snapshot");
    return BeginEtcdSnapshot(client_, StateOf(member, kLocation), member.is_learner, options);
  }

  StatusOr<RestorePlan> CheckRestore(const RestoreOptions&) override { return NotWhileItRuns(); }
  Status Restore(Source&, const RestoreOptions&) override { return NotWhileItRuns(); }

  StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) override {
    return ReadEtcdContent(*client_, std::move(stop));
  }
  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token stop) override {
    return ReadEtcdRows(*client_, which, row, std::move(stop));
  }
  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) override {
    return WriteEtcdRows(client_, which);
  }

 private:
  static constexpr char kLocation[] = "the etcd of this server";
  static Status NotWhileItRuns() {
    return WithHint(FailedPreconditionError("the etcd of a server is not restored while it runs"),
                    "Use `server --cluster-reset --cluster-reset-restore-path=...`.");
  }

  const std::shared_ptr<etcd::Client> client_;
};

}  // namespace

std::unique_ptr<Datastore> EmbeddedEtcd(std::shared_ptr<etcd::Client> client) {
  return std::make_unique<EmbeddedDatastore>(std::move(client));
}

}  // namespace holdfast
