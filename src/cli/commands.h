// The commands behind the words. Each gets its settings, does its work through ops, server or a running server, and
// returns a status that becomes the exit code.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/distribution.h"
#include "config/server_options.h"
#include "ops/reset_plan.h"
#include "ops/s3.h"
#include "ops/snapshots.h"

namespace holdfast {

struct CommandContext {
  const Distribution& distribution;
  const Settings& settings;
  const std::vector<std::string>& positionals;
  HostFacts host;
  bool terminal = false;  // stderr is one
  std::stop_token stop;
};

Status RunServerCommand(const CommandContext& context);
// What `server --cluster-reset --dry-run` prints: `output` is table, json or yaml; `status` what the reset would end with.
void PrintResetPlan(const ResetPlan& plan, const Status& status, const std::string& output,
                    absl::Time now);
// save, ls, prune, delete: through the running server, or (all but save) on the local directory while it is down.
Status RunSnapshotCommand(const CommandContext& context);
Status RunStatusCommand(const CommandContext& context);
Status RunS3CheckCommand(const CommandContext& context);
Status RunRestoreCommand(const CommandContext& context);
// `restore --datastore-endpoint`.
Status RestoreIntoDatastore(const CommandContext& context);
// status, migrate.
Status RunDatastoreCommand(const CommandContext& context);
// ls, remove: through a running server.
Status RunNodeCommand(const CommandContext& context);
// show: the token files of this server; rotate: through a running server.
Status RunTokenCommand(const CommandContext& context);
// rotate, while the server is down.
Status RunCertificateCommand(const CommandContext& context);
Status RunAgentCommand(const CommandContext& context);
Status RunVersionCommand(const CommandContext& context);

// kInvalidArgument unless there are none.
Status ExpectNoPositionals(const CommandContext& context);

// kInvalidArgument unless it is table, json or yaml.
Status CheckOutputFormat(const std::string& output);

// What `etcd-snapshot ls` prints: a row for each file, and one for each copy in S3.
std::string SnapshotTable(const std::vector<SnapshotRecord>& records, absl::TimeZone zone);

// What s3-check prints, and how it ends: not OK if a step failed.
std::string S3CheckTable(const std::vector<S3CheckStep>& steps);
std::string S3CheckJson(const std::vector<S3CheckStep>& steps);
Status S3CheckResult(const std::vector<S3CheckStep>& steps);

}  // namespace holdfast
