// How the members of a cluster do, and of which one a snapshot is best taken: asked all at the same time, so that one that
// is down costs one deadline and not one for each.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "etcd/client.h"

namespace holdfast {

struct EtcdMember {
  std::string address;  // for people: "h1:2379"
  std::shared_ptr<etcd::Client> client;
};

struct MemberView {
  std::string address;
  std::shared_ptr<etcd::Client> client;
  StatusOr<etcd::MemberStatus> status;
  bool in_sync = false;  // it answered, and has applied about what the others have
};

// Asks each for its status. kFailedPrecondition if they are of different clusters; an error with every reason if none
// answers.
StatusOr<std::vector<MemberView>> AskMembers(const std::vector<EtcdMember>& members);

// What the hashes of all keys say about the members, by address.
struct KeyComparison {
  std::map<std::string, std::string> corrupt;     // why its data cannot be trusted
  std::map<std::string, std::string> uncompared;  // why not, though it is in sync
};

// Compares the members that are in sync at a revision that all of them have; each reads its whole database for that. A
// difference is looked at again at a later revision before it counts. Who differs from the majority is corrupt; without a
// majority all are. kPermissionDenied, kUnauthenticated: hashes (and snapshots) need the role root; also said if there is
// only one member, which has nothing to be compared with.
StatusOr<KeyComparison> CompareKeys(std::vector<MemberView> views);

struct Judgement {
  std::vector<std::string> warnings;
  // To take a snapshot of, best first: a voter that is not the leader and in sync, the leader, one that lags or could not
  // be compared. None that is a learner, corrupt, or gave no answer.
  std::vector<MemberView> candidates;
};
// Asks one of them for alarms and members. `views` are of AskMembers.
Judgement Judge(const std::vector<MemberView>& views, const KeyComparison& keys);

}  // namespace holdfast
