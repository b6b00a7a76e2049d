// Is this etcd member fit to serve? The test that every start loop asks (RKE2's, pkg/etcd: isEtcdHealthy and alarm
// handling).
#pragma once

#include "etcd/client.h"

namespace holdfast::etcd {

// OK: it answers, has a leader, is no learner, and has no alarm of its own. Alarms of other members do not count.
// kUnavailable, kDeadlineExceeded: not yet (no answer, no leader). kFailedPrecondition: it will not heal by waiting.
// kResourceExhausted: it has the alarm NOSPACE, and refuses writes.
Status CheckHealth(Client& client);

// As CheckHealth, but a NOSPACE alarm is cured first: the member is defragmented and the alarm disarmed. For a start, not
// for a member that serves: it blocks meanwhile.
Status CheckHealthAndCure(Client& client);

}  // namespace holdfast::etcd
