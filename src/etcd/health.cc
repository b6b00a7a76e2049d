#include "etcd/health.h"

#include "base/log.h"

namespace holdfast::etcd {

Status CheckHealth(Client& client) {
  ASSIGN_OR_RETURN(const MemberStatus status, client.GetStatus());
  if (status.leader == 0) return UnavailableError("etcd has no leader");
  if (status.is_learner) return FailedPreconditionError("this etcd member is a learner");
  ASSIGN_OR_RETURN(const std::vector<Alarm> alarms, client.ListAlarms());
  Status worst;
  for (const Alarm& alarm : alarms) {
    if (alarm.member_id != status.member_id) continue;
    if (alarm.type == Alarm::Type::kCorrupt) {
      return FailedPreconditionError(
          "etcd raised the alarm CORRUPT for this member: its data differ from its peers'");
    }
    if (alarm.type == Alarm::Type::kNoSpace) {
      worst = ResourceExhaustedError(
          "etcd raised the alarm NOSPACE for this member: it refuses writes");
    }
  }
  return worst;
}

Status CheckHealthAndCure(Client& client) {
  const Status health = CheckHealth(client);
  if (health.code() != StatusCode::kResourceExhausted) return health;
  LogWarn("etcd raised the alarm NOSPACE: defragmenting, then disarming it");
  RETURN_IF_ERROR(client.Defragment());
  ASSIGN_OR_RETURN(const std::vector<Alarm> alarms, client.ListAlarms());
  for (const Alarm& alarm : alarms) {
    if (alarm.type == Alarm::Type::kNoSpace) RETURN_IF_ERROR(client.DisarmAlarm(alarm));
  }
  return CheckHealth(client);
}

}  // namespace holdfast::etcd
