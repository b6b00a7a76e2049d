// `token rotate`: the cluster gets another token. The bootstrap data in the datastore are sealed with it, then the token
// files of this server are written. Other servers and agents need it at their next start. Snapshots taken before stay sealed
// with the token of their time.
//
// A crash in between leaves the data sealed under both tokens, and the old or the new one in the files; the server warns at
// each start. Rotating again, also to the token that is in force by then, finishes it: no other token opens anything.
#pragma once

#include "base/layout.h"
#include "base/random.h"
#include "etcd/client.h"
#include "identity/token_files.h"
#include "os/file_system.h"

namespace holdfast {

// `tokens` holds the present password; `to` is a token in any form. Returns the new password. kUnauthenticated: the data
// are sealed with another token than the present one; kInvalidArgument: `to` is no server token, or the present one and
// nothing is left to do.
StatusOr<Secret> RotateToken(FileSystem& fs, const DataLayout& layout, Random& random,
                             etcd::Client& client, const TokenFileOptions& tokens,
                             const Secret& to);

}  // namespace holdfast
