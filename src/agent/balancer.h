// A TCP load balancer on this host: an application connects to 127.0.0.1:2379 and reaches one of the cluster's servers,
// whichever lives. It moves bytes and nothing else: TLS runs between the application and the server, end to end.
//
//   A new connection   goes to the backend with the fewest; those that failed lately come last. One that does not take it
//                      within connect_timeout is marked as failed and the next is tried; after the last the client is reset.
//   A failed backend   is tried every retry_interval until it takes connections. One that has not failed is never probed:
//                      each probe would be a line in etcd's log.
//   A dead backend     (host gone, cable cut) is noticed after dead_after on the connections it has, by the kernel
//                      (keep-alive, data not acknowledged), and these are closed.
//   A doubtful backend keeps its connections; new ones go to it only if no other takes them.
//   A removed backend  loses its connections at once.
//
// The end of one direction is passed on and the other goes on (half-close). An error on one side is a reset on the other, so
// that nobody takes a cut stream for a whole one. Who is cut off connects again and gets another backend.
//
// Bounds: connections_max (more are reset at once), kBackendsMax. Of each connection at most 256 KiB wait here in each
// direction: a peer that does not read stops its own stream and no other.
//
// Threads: one of its own, "agent-balancer", that waits for network events only. Functions may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace holdfast {

struct BalancerOptions {
  std::string address = "127.0.0.1";
  int port = 2379;  // 0: any free one
  std::size_t connections_max = 1024;
  absl::Duration connect_timeout = absl::Seconds(1);
  absl::Duration retry_interval = absl::Seconds(2);
  absl::Duration dead_after = absl::Seconds(10);  // whole seconds, at least 3
};

class Balancer {
 public:
  static constexpr std::size_t kBackendsMax = 64;

  // Listens at once, without backends. kFailedPrecondition if the port is taken; the message names who has it.
  static StatusOr<std::unique_ptr<Balancer>> Start(BalancerOptions options);

  // Resets all connections and ends.
  virtual ~Balancer() = default;

  // Where it listens.
  virtual int port() const = 0;

  // From now on connections go to these: "192.0.2.11:2379", "[2001:db8::1]:2379"; duplicates count once. What is known of
  // those it had already stays. `doubtful`: those among them that are. kInvalidArgument, and nothing is changed, if one is
  // not an address and a port, or is the balancer itself, or if there are more than kBackendsMax.
  virtual Status SetBackends(const std::vector<std::string>& backends,
                             const std::vector<std::string>& doubtful) = 0;
};

}  // namespace holdfast
