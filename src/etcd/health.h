// Is this etcd member fit to serve? The test that every start loop asks (RKE2's, pkg/etcd: isEtcdHealthy and alarm
// handling).
#pragma once

#include "etcd/client.h"

namespace holdfast::etcd {

// OK: it answers, has a leader, is no learner, and has no alarm of its own. Alarms of other members do not count.
// kUnavailable, kDeadlineExceeded: not yet (no answer, no leader, a learner that is not promoted).
// kFailedPrecondition: it will not heal by waiting.
// kResourceExhausted: it has the alarm NOSPACE, and refuses writes.
Status CheckHealth(Client& client);

// As CheckHealth, but a NOSPACE alarm is cured first: the member is defragmented and the alarm disarmed. For a start, not
// for a member that serves: it blocks meanwhile.
Status CheckHealthAndCure(Client& client);

// Has the member write all that it has acknowledged into its database file. Before that it may be in the log alone, and who
// reads the file before the next start does not see it. (etcd does so every 100 ms, and when it begins a snapshot.)
// Source: etcd server/storage/backend/backend.go (defaultBatchInterval, Snapshot).
Status CommitToFile(Client& client, std::stop_token stop);

// A client to the first of these members that is fit to serve, for who is not a member himself. Each is given
// `options.call_timeout`; options.endpoint is set here. `client_urls` as members advertise them ("https://10.0.0.1:2379").
// An error names every member with its reason; its code is that of the last.
StatusOr<std::unique_ptr<Client>> ConnectToHealthy(ClientOptions options,
                                                   const std::vector<std::string>& client_urls);

}  // namespace holdfast::etcd
