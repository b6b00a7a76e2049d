#include "etcd_cluster/etcd_snapshot.h"

#include "etcd_cluster/etcd_examiner.h"
#include "formats/member/membership.h"

namespace holdfast {
namespace {

class EtcdSnapshot final : public DatastoreSnapshot {
 public:
  EtcdSnapshot(std::shared_ptr<etcd::Client> client, std::unique_ptr<etcd::SnapshotStream> stream,
               DatastoreState origin)
      : client_(std::move(client)), stream_(std::move(stream)), origin_(std::move(origin)) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override { return stream_->Read(out); }
  const DatastoreState& origin() const override { return origin_; }
  std::optional<std::uint64_t> size() const override { return stream_->bytes_total(); }
  Examiner& examiner() override { return *examiner_; }

 private:
  const std::shared_ptr<etcd::Client> client_;  // the stream needs it to its end
  const std::unique_ptr<etcd::SnapshotStream> stream_;
  const DatastoreState origin_;
  const std::unique_ptr<Examiner> examiner_ = MakeEtcdExaminer();
};

}  // namespace

DatastoreState StateOf(const etcd::MemberStatus& member, std::string location) {
  DatastoreState state;
  state.kind = "etcd";
  state.version = member.version;
  state.location = std::move(location);
  state.bytes = member.db_bytes;
  state.cluster_id = MemberIdText(member.cluster_id);
  state.member_id = MemberIdText(member.member_id);
  return state;
}

StatusOr<std::unique_ptr<DatastoreSnapshot>> BeginEtcdSnapshot(std::shared_ptr<etcd::Client> client,
                                                               DatastoreState origin,
                                                               bool is_learner,
                                                               const TakeOptions& options) {
  if (is_learner)
    return FailedPreconditionError("Unable to take snapshot: not supported for learner");
  ASSIGN_OR_RETURN(auto stream, client->Snapshot(options.stall_timeout, options.stop));
  return std::make_unique<EtcdSnapshot>(std::move(client), std::move(stream), std::move(origin));
}

}  // namespace holdfast
