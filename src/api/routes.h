// The supervisor's endpoints, and what they need from the server behind them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/http_server.h"
#include "protocol/snapshot_api.h"

namespace holdfast {

// Implemented by the server. Called from worker threads; what does not wait, from the one for network I/O.
class ApiBackend {
 public:
  virtual ~ApiBackend() = default;

  virtual std::string CaCertificates() = 0;
  // OK, or why not; one reason a line.
  virtual Status Ready() = 0;
  virtual Status Live() = 0;
  virtual std::string MetricsPage() = 0;  // as Ready() and Live(), without waiting

  virtual StatusOr<SnapshotResult> SaveSnapshot(
      const SnapshotRequest& request, const std::function<void(const Progress&)>& on_progress) = 0;
  virtual StatusOr<SnapshotResult> PruneSnapshots(const SnapshotRequest& request) = 0;
  virtual StatusOr<SnapshotResult> DeleteSnapshots(const SnapshotRequest& request) = 0;
  virtual StatusOr<SnapshotListing> ListSnapshots(const SnapshotRequest& request) = 0;
};

// While a snapshot operation says nothing, as when S3 does not answer, its last progress is sent again so often, to those
// who take lines: they can tell a server that waits from one that is gone.
inline constexpr absl::Duration kHeartbeat = absl::Seconds(10);

// `backend` must outlive the server that gets these.
std::vector<Route> SupervisorRoutes(ApiBackend& backend, std::string_view label_domain,
                                    absl::Duration heartbeat = kHeartbeat);

}  // namespace holdfast
