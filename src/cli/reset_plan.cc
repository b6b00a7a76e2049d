// The plan of a reset, for people and for programs.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

std::string NameOf(const Member& peer) {
  return peer.name.empty() ? "a member without a name" : NodeOfMember(peer.name);
}

// What the live data have beyond the snapshot.
std::uint64_t RevisionsLost(const ResetPlan& plan) {
  const std::int64_t saved = plan.snapshot->verified->found.revision;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(plan.live->found->revision - saved, 0));
}
bool CanCompare(const ResetPlan& plan) {
  return plan.snapshot && plan.snapshot->verified && plan.live && plan.live->found;
}

// --- text ---

class Text {
 public:
  Text(const ResetPlan& plan, absl::Time now) : plan_(plan), now_(now) {}

  std::string Make() {
    if (plan_.snapshot) Snapshot(*plan_.snapshot);
    if (!plan_.token_hash.empty())
      Line("Token", fmt::format("opens the bootstrap data (token hash {})", plan_.token_hash));
    if (plan_.live) Live(*plan_.live);
    if (!plan_.unfinished.empty())
      Line("Unfinished", plan_.unfinished +
                             ": a restore was interrupted; the reset puts that in order first, so "
                             "the live data may become others");
    Lost();
    for (const Member& peer : plan_.peers) {
      Line("Peer", fmt::format("{} ({}): its data will be of a former cluster; it must rejoin",
                               NameOf(peer), Join(peer.peer_urls, ", ")));
    }
    if (plan_.needed)
      Line("Space", fmt::format("{} needed, {} free", FormatBytes(plan_.needed->total()),
                                FormatBytes(plan_.free_bytes)));
    return out_ + "Nothing was changed.\n";
  }

 private:
  void Line(std::string_view label, const std::string& text) {
    out_ += fmt::format("{:<11}{}\n", label, text);
  }

  void Snapshot(const ResetPlan::Snapshot& snapshot) {
    Line("Snapshot", snapshot.path);
    std::string taken = "taken at an unknown time";
    if (const auto at = snapshot.taken_at) {
      taken = fmt::format("taken {} ({} ago)", FormatRfc3339Utc(*at),
                          FormatGoDuration(absl::Floor(now_ - *at, absl::Seconds(1))));
    }
    if (const auto& m = snapshot.manifest; m && m->ours()) {
      taken += fmt::format(" on {}, of cluster {} with etcd {}, under the token hash {}", m->node,
                           m->cluster_id, m->datastore_version, m->token_hash);
    } else {
      taken += snapshot.path.starts_with("s3://") ? ", by its name" : ", by the file's time";
    }
    Line("", taken);
    if (!snapshot.verified) return Line("", "damaged");
    const VerifiedSnapshot& v = *snapshot.verified;
    Line("", fmt::format("revision {}, {} keys, database of {}, {}", v.found.revision,
                         v.found.live_keys, FormatBytes(v.found.bytes),
                         v.has_digest ? "digest verified" : "without a digest"));
  }

  void Live(const ResetPlan::Data& live) {
    Line("Live data", live.directory + (plan_.snapshot ? ": set aside as etcd-old-<time>"
                                                       : ": copied, then set aside as "
                                                         "etcd-old-<time>"));
    if (live.cluster.identity)
      Line("", fmt::format("member {:x} of cluster {:x}", live.cluster.identity->member_id,
                           live.cluster.identity->cluster_id));
    Line("", live.found ? fmt::format("revision {}, {} keys, database of {}", live.found->revision,
                                      live.found->live_keys, FormatBytes(live.found->bytes))
                        : "cannot be read");
  }

  void Lost() {
    if (plan_.live && !plan_.snapshot) {
      Line("Lost", "what other members had acknowledged and this one did not get");
    } else if (CanCompare(plan_)) {
      const mvcc::Inspection& live = *plan_.live->found;
      Line("Lost", fmt::format("at least {} revisions of the live data: {} keys written and {} "
                               "deleted since the snapshot",
                               RevisionsLost(plan_), live.written_since, live.deleted_since));
    } else if (plan_.live) {
      Line("Lost", "all that the live data have beyond the snapshot; how much is not known");
    }
  }

  const ResetPlan& plan_;
  const absl::Time now_;
  std::string out_;
};

// --- JSON ---

Json JsonOf(const mvcc::Inspection& found) {
  return {{"revision", found.revision},
          {"compactRevision", found.compact_revision},
          {"liveKeys", found.live_keys},
          {"totalSize", found.bytes}};
}

Json SnapshotJson(const ResetPlan::Snapshot& snapshot) {
  Json json = {{"path", snapshot.path}};
  if (snapshot.taken_at) json["takenAt"] = FormatRfc3339Utc(*snapshot.taken_at);
  if (const auto& m = snapshot.manifest; m && m->ours()) {
    json["node"] = m->node;
    json["clusterID"] = m->cluster_id;
    json["etcdVersion"] = m->datastore_version;
    json["tokenHash"] = m->token_hash;
  }
  if (!snapshot.verified) return json;
  json.update(JsonOf(snapshot.verified->found));
  json["digest"] = snapshot.verified->has_digest ? "verified" : "none";
  return json;
}

Json LiveJson(const ResetPlan::Data& live) {
  Json json = {{"directory", live.directory}};
  if (live.cluster.identity) {
    json["memberID"] = MemberIdText(live.cluster.identity->member_id);
    json["clusterID"] = MemberIdText(live.cluster.identity->cluster_id);
  }
  if (live.found) json.update(JsonOf(*live.found));
  return json;
}

Json PlanJson(const ResetPlan& plan, const Status& status) {
  Json json = {{"passes", status.ok()}};
  if (!status.ok()) json["error"] = MessageOf(status);
  if (plan.snapshot) json["snapshot"] = SnapshotJson(*plan.snapshot);
  if (!plan.token_hash.empty()) json["opensWithTokenHash"] = plan.token_hash;
  if (plan.live) json["live"] = LiveJson(*plan.live);
  if (!plan.unfinished.empty()) json["unfinished"] = plan.unfinished;
  if (CanCompare(plan)) {
    json["lost"] = {{"revisions", RevisionsLost(plan)},
                    {"keysWritten", plan.live->found->written_since},
                    {"keysDeleted", plan.live->found->deleted_since}};
  }
  json["peers"] = Json::array();
  for (const Member& peer : plan.peers)
    json["peers"].push_back({{"name", NodeOfMember(peer.name)}, {"peerURLs", peer.peer_urls}});
  if (plan.needed) json["space"] = {{"needed", plan.needed->total()}, {"free", plan.free_bytes}};
  return json;
}

}  // namespace

void PrintResetPlan(const ResetPlan& plan, const Status& status, const std::string& output,
                    absl::Time now) {
  // A path may hold any bytes.
  const std::string json =
      PlanJson(plan, status).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::string text = output == "json"   ? json
                           : output == "yaml" ? JsonToYaml(json)
                                              : Text(plan, now).Make();
  std::fputs(text.c_str(), stdout);
}

}  // namespace holdfast
