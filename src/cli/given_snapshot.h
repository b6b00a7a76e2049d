// The snapshot that a command works on.
#pragma once

#include "cli/commands.h"
#include "ops/fetch_snapshot.h"

namespace holdfast {

// What the command's only argument and its S3 settings ask for. A name without a slash is looked for in `directory`, where a
// download would go, and where the caller stands.
StatusOr<FetchRequest> RequestGiven(const CommandContext& context, const SnapshotPlace& place);

// Open; one in S3 is read where it lies. What is no s3:// name is a path, whether it has a slash or not.
StatusOr<OpenedSnapshot> OpenGiven(const CommandContext& context);

}  // namespace holdfast
