#include <string_view>

#include "etcd/client.h"

namespace holdfast::etcd {

Refusal RefusalOf(const Status& status) {
  struct Known {
    Refusal refusal;
    std::string_view words;
  };
  // The longer of two that begin alike comes first.
  static constexpr Known kKnown[] = {
      {Refusal::kLearnerNotInSync,
       "can only promote a learner member which is in sync with leader"},
      {Refusal::kNotALearner, "can only promote a learner member"},
      {Refusal::kTooManyLearners, "too many learner members in cluster"},
      {Refusal::kUnhealthyCluster, "unhealthy cluster"},
      {Refusal::kTooFewStarted, "re-configuration failed due to not enough started members"},
      {Refusal::kPeerUrlExists, "Peer URLs already exists"},
      // The id is made of the URLs and the second: what it says when asked twice in one.
      {Refusal::kPeerUrlExists, "member ID already exist"},
      {Refusal::kUnknownMember, "member not found"},
      {Refusal::kNotLeader, "etcdserver: not leader"},
      {Refusal::kIsLearner, "rpc not supported for learner"}};
  const std::string message = MessageOf(status);
  for (const Known& known : kKnown) {
    if (message.find(known.words) != std::string::npos) return known.refusal;
  }
  return Refusal::kOther;
}

bool MayPass(const Status& status) {
  switch (RefusalOf(status)) {
    case Refusal::kLearnerNotInSync:
    case Refusal::kTooManyLearners:
    case Refusal::kUnhealthyCluster:
    case Refusal::kTooFewStarted:
      return true;
    case Refusal::kOther:
      return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    default:
      return false;
  }
}

}  // namespace holdfast::etcd
