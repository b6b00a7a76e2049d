#include "etcd_cluster/survey.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <thread>

#include "base/text.h"
#include "etcd_cluster/endpoints.h"

namespace holdfast {
namespace {

// Raft entries. Members are asked one after the other while others write: a sound one is some hundred behind.
constexpr std::uint64_t kLagMax = 1000;
constexpr int kComparisons = 3;

bool IsRefusal(const Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

void ForEach(std::vector<MemberView>& views, const std::function<void(MemberView&)>& act) {
  std::vector<std::jthread> threads;
  for (MemberView& view : views) threads.emplace_back([&act, &view] { act(view); });
}

void AskStatus(std::vector<MemberView>& views) {
  ForEach(views, [](MemberView& view) { view.status = view.client->GetStatus(); });
  std::uint64_t newest = 0;
  bool led = false;
  for (const MemberView& view : views) {
    if (!view.status.ok()) continue;
    newest = std::max(newest, view.status->raft_index);
    led = led || view.status->leader != 0;
  }
  for (MemberView& view : views) {
    view.in_sync = view.status.ok() && view.status->raft_applied_index + kLagMax >= newest &&
                   (view.status->leader != 0 || !led);
  }
}

struct Round {
  std::int64_t revision = 0;
  std::map<std::string, etcd::KeyHash> hashes;  // by address
  std::map<std::string, std::string> unhashed;  // why not
  bool again = false;  // they differ, or that revision was compacted meanwhile
};

bool SameKeys(const etcd::KeyHash& a, const etcd::KeyHash& b) {
  return a.hash == b.hash && a.compact_revision == b.compact_revision;
}

StatusOr<Round> CompareOnce(std::vector<MemberView>& views) {
  Round round{.revision = std::numeric_limits<std::int64_t>::max()};
  for (const MemberView& view : views) {
    if (view.status.ok()) round.revision = std::min(round.revision, view.status->revision);
  }
  std::map<std::string, StatusOr<etcd::KeyHash>> answers;
  for (const MemberView& view : views) answers.emplace(view.address, UnavailableError("not asked"));
  ForEach(views, [&](MemberView& view) {
    answers.find(view.address)->second = view.client->HashKeys(round.revision);
  });
  for (const auto& [address, answer] : answers) {
    if (answer.ok()) {
      round.hashes[address] = *answer;
      continue;
    }
    const Status why = ExplainRefusal(answer.status());
    if (IsRefusal(why)) return Annotate(why, address);
    round.again = round.again || why.code() == StatusCode::kOutOfRange;
    round.unhashed[address] = MessageOf(why);
  }
  for (const auto& [address, hash] : round.hashes)
    round.again = round.again || !SameKeys(hash, round.hashes.begin()->second);
  return round;
}

// Who is corrupt after the last round.
void BlameMinority(const Round& round, KeyComparison& out) {
  std::map<std::pair<std::uint32_t, std::int64_t>, std::size_t> votes;
  for (const auto& [address, hash] : round.hashes) ++votes[{hash.hash, hash.compact_revision}];
  if (votes.size() < 2) return;
  const auto best = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const bool majority = best->second * 2 > round.hashes.size();
  for (const auto& [address, hash] : round.hashes) {
    if (majority && std::pair(hash.hash, hash.compact_revision) == best->first) continue;
    std::string what = fmt::format("hash {:08x} at revision {}", hash.hash, round.revision);
    if (hash.compact_revision > 0) what += fmt::format(", compacted at {}", hash.compact_revision);
    out.corrupt[address] =
        majority
            ? fmt::format(
                  "its keys differ from those of the majority ({}): it is corrupt; "
                  "remove this member and add it again with an empty directory",
                  what)
            : fmt::format("the members' keys differ ({}), and no majority says who is right", what);
  }
}

std::string AlarmName(etcd::Alarm::Type type) {
  switch (type) {
    case etcd::Alarm::Type::kNoSpace:
      return "NOSPACE (writes are refused until it is defragmented and the alarm is disarmed)";
    case etcd::Alarm::Type::kCorrupt:
      return "CORRUPT";
    case etcd::Alarm::Type::kOther:
      break;
  }
  return "of a kind that is not known";
}

// How good a candidate it is; less is better.
int Rank(const MemberView& view, const KeyComparison& keys) {
  if (!view.in_sync || keys.uncompared.contains(view.address)) return 2;
  return view.status->leader == view.status->member_id ? 1 : 0;
}

// What only the cluster as a whole knows; asked from one.
void AskCluster(const std::vector<MemberView>& views, const MemberView& whom,
                std::map<std::uint64_t, std::vector<etcd::Alarm::Type>>& alarms,
                std::vector<std::string>& warnings) {
  if (const auto list = whom.client->ListAlarms(); list.ok()) {
    for (const etcd::Alarm& alarm : *list) alarms[alarm.member_id].push_back(alarm.type);
  } else {
    warnings.push_back("alarms are not known: " + MessageOf(ExplainRefusal(list.status())));
  }
  if (const auto members = whom.client->ListMembers();
      members.ok() && members->size() > views.size()) {
    warnings.push_back(
        fmt::format("the cluster has {} members, the endpoint names {}: the others "
                    "are not looked at",
                    members->size(), views.size()));
  }
}

}  // namespace

StatusOr<std::vector<MemberView>> AskMembers(const std::vector<EtcdMember>& members) {
  std::vector<MemberView> views;
  for (const EtcdMember& member : members)
    views.push_back({member.address, member.client, UnavailableError("not asked")});
  AskStatus(views);
  const MemberView* first = nullptr;
  std::vector<std::string> reasons;
  Status last;
  for (const MemberView& view : views) {
    if (!view.status.ok()) {
      last = ExplainRefusal(view.status.status());
      reasons.push_back(fmt::format("{}: {}", view.address, MessageOf(last)));
    } else if (first == nullptr) {
      first = &view;
    } else if (view.status->cluster_id != first->status->cluster_id) {
      return FailedPreconditionError("{} and {} are members of different etcd clusters",
                                     first->address, view.address);
    }
  }
  if (first != nullptr) return views;
  const Status all = MakeStatus(last.code(), "no etcd member can be asked: " + Join(reasons, "; "));
  return HintOf(last).empty() ? all : WithHint(all, HintOf(last));
}

StatusOr<KeyComparison> CompareKeys(std::vector<MemberView> views) {
  std::erase_if(views, [](const MemberView& view) { return !view.in_sync; });
  KeyComparison out;
  if (views.size() == 1) {
    // No revision that etcd has: refused for that at once, or for who asks.
    const Status probe = ExplainRefusal(
        views[0].client->HashKeys(std::numeric_limits<std::int64_t>::max()).status());
    if (IsRefusal(probe)) return Annotate(probe, views[0].address);
    return out;
  }
  Round round;
  for (int i = 0; i < kComparisons; ++i) {
    if (i > 0) AskStatus(views);
    ASSIGN_OR_RETURN(round, CompareOnce(views));
    if (!round.again) break;
  }
  out.uncompared = std::move(round.unhashed);
  BlameMinority(round, out);
  return out;
}

Judgement Judge(const std::vector<MemberView>& views, const KeyComparison& keys) {
  Judgement out;
  std::uint64_t newest = 0;
  const MemberView* asked = nullptr;  // about the cluster: one that has a leader, if any has
  for (const MemberView& view : views) {
    if (!view.status.ok()) continue;
    newest = std::max(newest, view.status->raft_index);
    if (asked == nullptr || (asked->status->leader == 0 && view.status->leader != 0)) asked = &view;
  }
  if (asked == nullptr) return out;
  std::map<std::uint64_t, std::vector<etcd::Alarm::Type>> alarms;
  if (asked->status->leader == 0) {
    out.warnings.emplace_back("the cluster has no leader: it cannot be written to");
  } else {
    AskCluster(views, *asked, alarms, out.warnings);
  }
  for (const MemberView& view : views) {
    const auto warn = [&](const std::string& what) {
      out.warnings.push_back(fmt::format("{}: {}", view.address, what));
    };
    if (!view.status.ok()) {
      warn("does not answer: " + MessageOf(ExplainRefusal(view.status.status())));
      continue;
    }
    bool fit = !view.status->is_learner;
    if (!fit) warn("is a learner: no snapshots are taken of it");
    if (!view.in_sync) {
      warn(fmt::format("{}: it has applied {} of {} raft entries",
                       view.status->leader == 0 ? "is cut off from the others" : "lags",
                       view.status->raft_applied_index, newest));
    }
    for (const etcd::Alarm::Type alarm : alarms[view.status->member_id]) {
      warn("alarm " + AlarmName(alarm));
      fit = fit && alarm != etcd::Alarm::Type::kCorrupt;
    }
    if (const auto bad = keys.corrupt.find(view.address); bad != keys.corrupt.end()) {
      warn(bad->second);
      fit = false;
    }
    if (const auto why = keys.uncompared.find(view.address); why != keys.uncompared.end())
      warn("its keys were not compared: " + why->second);
    if (fit) out.candidates.push_back(view);
  }
  std::stable_sort(
      out.candidates.begin(), out.candidates.end(),
      [&](const MemberView& a, const MemberView& b) { return Rank(a, keys) < Rank(b, keys); });
  return out;
}

}  // namespace holdfast
