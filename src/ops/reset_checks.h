// What a reset checks before it touches anything, and its plan too.
#pragma once

#include <optional>
#include <string>

#include "artifact/manifest.h"
#include "ops/former_peers.h"
#include "ops/reset.h"

namespace holdfast {

// With a snapshot: a token is known. Without: there are data, and they were not reset before.
Status CheckResetIsMeant(FileSystem& fs, const ResetRequest& request);

// All but this node among the members of the live data and, after them, of the snapshot.
std::vector<Member> PeersBefore(const ResetRequest& request, const FormerCluster& former,
                                const std::vector<Member>& of_snapshot);

}  // namespace holdfast
