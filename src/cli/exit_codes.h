// What the program's exit says to scripts. docs/operating/exit-codes.md and the manual page list the same.
#pragma once

#include "base/status.h"

namespace holdfast {

enum ExitCode {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,    // wrong words: flags, configuration, names
  kExitDamaged = 3,  // a snapshot or database is damaged
  kExitWrongToken =
      4,  // the token or its certificate authority is not the right one, or permission is missing
  kExitUnreachable = 5,  // the server, etcd or S3 cannot be reached, or did not answer in time
  kExitBusy = 6,         // somebody else is doing it now
};

inline ExitCode ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return kExitDone;
    case StatusCode::kInvalidArgument:
      return kExitUsage;
    case StatusCode::kDataLoss:
      return kExitDamaged;
    case StatusCode::kUnauthenticated:
    case StatusCode::kPermissionDenied:
      return kExitWrongToken;
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
      return kExitUnreachable;
    case StatusCode::kAborted:
      return kExitBusy;
    default:
      return kExitFailed;
  }
}

}  // namespace holdfast
