// Is this etcd member fit to serve? The test that every start loop asks (RKE2's, pkg/etcd: isEtcdHealthy and alarm handling).
#pragma once

#include "etcd/client.h"

namespace holdfast::etcd {

// OK: it answers, has a leader, is no learner, and has no CORRUPT alarm of its own. A NOSPACE alarm of its own is cured
// first: the member is defragmented and the alarm disarmed. Alarms of other members do not count.
// kUnavailable: not yet (no answer, no leader); kFailedPrecondition: it will not heal by waiting.
Status CheckHealth(Client& client);

}  // namespace holdfast::etcd
