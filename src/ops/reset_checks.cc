#include "ops/reset_checks.h"

namespace holdfast {

Status CheckResetIsMeant(FileSystem& fs, const ResetRequest& request) {
  const DataLayout& layout = request.layout;
  const TokenFileOptions& tokens = request.files.tokens;
  if (request.snapshot) {
    if (!tokens.password.empty()) return OkStatus();
    return FailedPreconditionError(
        "{} does not exist, please pass --token to complete the restoration", layout.token());
  }
  ASSIGN_OR_RETURN(const bool was_reset, Exists(fs, layout.reset_flag()));
  if (was_reset) {
    return FailedPreconditionError(
        "Managed etcd cluster membership was previously reset, please remove the cluster-reset "
        "flag and start {} normally. If you "
        "need to perform another cluster reset, you must first manually delete the file at {}",
        tokens.distribution, layout.reset_flag());
  }
  ASSIGN_OR_RETURN(const bool has_data, Exists(fs, layout.etcd_wal()));
  if (has_data) return OkStatus();
  return WithHint(FailedPreconditionError("there are no etcd data in {} to reset", layout.etcd()),
                  "Give a snapshot with --cluster-reset-restore-path, or start the server normally "
                  "to begin a new cluster.");
}

std::vector<Member> PeersBefore(const ResetRequest& request, const FormerCluster& former,
                                const std::vector<Member>& of_snapshot) {
  std::vector<Member> all = former.members;
  all.insert(all.end(), of_snapshot.begin(), of_snapshot.end());
  SelfAmongMembers self{
      .member_id = {}, .peer_url = request.etcd.config.PeerUrl(), .node_name = request.node_name};
  if (former.identity) self.member_id = former.identity->member_id;
  return PeersOf(all, self);
}

}  // namespace holdfast
