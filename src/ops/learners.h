// What the leader does about learners: promotes those that have caught up, and removes one that makes no progress, because
// etcd allows only one learner at a time and the next server waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "etcd/client.h"

namespace holdfast {

// As K3s has it (pkg/etcd/etcd.go: learnerMaxStallTime).
inline constexpr absl::Duration kLearnerStallMax = absl::Minutes(5),
                                kLearnerStallWarn = absl::Minutes(1);

// Remembers how far each learner was. A new leader begins to count anew.
class LearnerWatch {
 public:
  enum class Verdict { kWait, kWarn, kRemove };
  // `applied`: the last raft entry its database has; nullopt if it does not answer. kWarn comes once.
  Verdict Judge(std::uint64_t id, std::optional<std::uint64_t> applied, absl::Duration now);
  void Forget(std::uint64_t id) { seen_.erase(id); }

 private:
  struct Seen {
    std::uint64_t applied = 0;
    absl::Duration progress_at;
    bool warned = false;
  };
  std::map<std::uint64_t, Seen> seen_;
};

// Asks a learner itself for its status.
using AskMember = std::function<StatusOr<etcd::MemberStatus>(const etcd::MemberInfo&)>;

// One round, on the leader (`client` is its own). A learner is promoted only while it answers.
void TendLearners(etcd::Client& client, const std::vector<etcd::MemberInfo>& members,
                  const AskMember& ask, LearnerWatch& watch, absl::Duration now);

}  // namespace holdfast
