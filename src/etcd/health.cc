#include "etcd/health.h"

#include "base/log.h"

namespace holdfast::etcd {

Status CheckHealth(Client& client) {
  ASSIGN_OR_RETURN(const MemberStatus status, client.GetStatus());
  if (status.leader == 0) return UnavailableError("etcd has no leader");
  if (status.is_learner) return FailedPreconditionError("this etcd member is a learner");
  ASSIGN_OR_RETURN(const std::vector<Alarm> alarms, client.ListAlarms());
  for (const Alarm& alarm : alarms) {
    if (alarm.member_id != status.member_id) continue;
    switch (alarm.type) {
      case Alarm::Type::kCorrupt:
        return FailedPreconditionError("etcd raised the alarm CORRUPT for this member: its data differ from its peers'");
      case Alarm::Type::kNoSpace:
        LogWarn("etcd raised the alarm NOSPACE: defragmenting, then disarming it");
        RETURN_IF_ERROR(client.Defragment());
        RETURN_IF_ERROR(client.DisarmAlarm(alarm));
        break;
      case Alarm::Type::kOther:
        break;
    }
  }
  return OkStatus();
}

}  // namespace holdfast::etcd
