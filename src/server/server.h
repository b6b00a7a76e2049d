// `holdfast server`: everything that lives as long as the process. docs/threads.md lists its threads.
#pragma once

#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/distribution.h"
#include "base/random.h"
#include "config/server_options.h"
#include "ops/fetch_snapshot.h"
#include "ops/reset_plan.h"
#include "os/file_system.h"

namespace holdfast {

struct ServerContext {
  FileSystem& fs;
  Clock& clock;
  Random& random;
  const Distribution& distribution;
  std::string working_directory;
  std::string version;   // of this program
  std::stop_token stop;  // ends the server, in order
  S3Opener open_s3;
  ProgressFunction on_progress;  // of a restore; may be empty
};

// What a reset with these options would do, touching nothing (ops/reset_plan.h). The error that the reset would end with;
// `plan` is filled as far as things can be known all the same. kAborted: a server runs on the data directory.
Status PlanServerReset(const ServerOptions& options, const ServerContext& context,
                       const std::string& scratch_directory, ResetPlan& plan);

// Runs a server until it is stopped (OK) or cannot go on. With cluster_reset set it resets and returns.
// kAborted: another server runs on the data directory. kUnauthenticated: the token is not the cluster's.
Status RunServer(const ServerOptions& options, const ServerContext& context);

}  // namespace holdfast
