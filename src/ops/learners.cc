#include "ops/learners.h"

#include "base/log.h"
#include "base/text.h"

namespace holdfast {
namespace {

std::string NameOf(const etcd::MemberInfo& member) {
  return member.name.empty() ? fmt::format("{:x} ({})", member.id, Join(member.peer_urls, ", "))
                             : member.name;
}

}  // namespace

LearnerWatch::Verdict LearnerWatch::Judge(std::uint64_t id, std::optional<std::uint64_t> applied,
                                          absl::Duration now) {
  const auto [it, is_new] = seen_.try_emplace(id, Seen{.progress_at = now});
  Seen& seen = it->second;
  if (applied.value_or(0) > seen.applied) {
    seen = {.applied = *applied, .progress_at = now};
    return Verdict::kWait;
  }
  const absl::Duration stalled = now - seen.progress_at;
  if (stalled >= kLearnerStallMax) return Verdict::kRemove;
  if (stalled < kLearnerStallWarn || seen.warned) return Verdict::kWait;
  seen.warned = true;
  return Verdict::kWarn;
}

void TendLearners(etcd::Client& client, const std::vector<etcd::MemberInfo>& members,
                  const AskMember& ask, LearnerWatch& watch, absl::Duration now) {
  for (const etcd::MemberInfo& learner : members) {
    if (!learner.is_learner) continue;
    const std::string name = NameOf(learner);
    const auto status = ask(learner);
    Status why = status.status();
    if (why.ok()) {
      why = client.PromoteMember(learner.id);
      if (why.ok()) {
        LogInfo("Learner {} has caught up and is a voter now", name);
        watch.Forget(learner.id);
        continue;
      }
      // In sync, or promoted by somebody else: nothing that it could hurry up with.
      if (etcd::RefusalOf(why) != etcd::Refusal::kLearnerNotInSync) {
        LogInfo("Learner {} is not promoted yet: {}", name, MessageOf(why));
        watch.Forget(learner.id);
        continue;
      }
    }
    const auto applied =
        status.ok() ? std::optional(status->raft_applied_index) : std::optional<std::uint64_t>();
    switch (watch.Judge(learner.id, applied, now)) {
      case LearnerWatch::Verdict::kWait:
        LogDebug("Learner {} at raft entry {}: {}", name, applied.value_or(0), MessageOf(why));
        break;
      case LearnerWatch::Verdict::kWarn:
        LogWarn("Learner {} has made no progress for {}; it is removed after {}: {}", name,
                FormatGoDuration(kLearnerStallWarn), FormatGoDuration(kLearnerStallMax),
                MessageOf(why));
        break;
      case LearnerWatch::Verdict::kRemove: {
        const Status removed = client.RemoveMember(learner.id);
        watch.Forget(learner.id);
        LogWarn("Learner {} made no progress for {} and {}: {}", name,
                FormatGoDuration(kLearnerStallMax),
                removed.ok() ? "was removed" : "could not be removed",
                MessageOf(removed.ok() ? why : removed));
      }
    }
  }
}

}  // namespace holdfast
