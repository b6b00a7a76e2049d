#include "etcd/health.h"

#include "base/log.h"
#include "base/text.h"

namespace holdfast::etcd {

Status CheckHealth(Client& client) {
  ASSIGN_OR_RETURN(const MemberStatus status, client.GetStatus());
  if (status.leader == 0) return UnavailableError("etcd has no leader");
  if (status.is_learner)
    return UnavailableError("this etcd member is a learner: it has no vote until it is promoted");
  // Through the leader and a quorum, while the status above is what this member believes.
  const auto alarms = client.ListAlarms();
  if (MayPass(alarms.status())) return Annotate(alarms.status(), "etcd's leader does not answer");
  RETURN_IF_ERROR(alarms.status());
  Status worst;
  for (const Alarm& alarm : *alarms) {
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

Status CommitToFile(Client& client, std::stop_token stop) {
  constexpr absl::Duration kCommitTimeout = absl::Minutes(1);
  return client.Snapshot(kCommitTimeout, std::move(stop)).status();
}

StatusOr<std::unique_ptr<Client>> ConnectToHealthy(ClientOptions options,
                                                   const std::vector<std::string>& client_urls) {
  Status last = UnavailableError("no member has told where its clients connect");
  std::vector<std::string> reasons;
  for (const std::string& url : client_urls) {
    const auto scheme_end = url.find("://");
    options.endpoint = scheme_end == std::string::npos ? url : url.substr(scheme_end + 3);
    auto client = Connect(options);
    last = client.status();
    if (last.ok()) last = CheckHealth(**client);
    if (last.ok()) return client;
    reasons.push_back(fmt::format("{}: {}", options.endpoint, MessageOf(last)));
  }
  if (reasons.empty()) return last;
  return MakeStatus(last.code(), "no etcd member can be asked: " + Join(reasons, "; "));
}

}  // namespace holdfast::etcd
