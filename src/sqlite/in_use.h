// Does anybody work with a SQLite database?
#pragma once

#include <string>

#include "base/status.h"

namespace holdfast::sqlite {

// kFailedPrecondition that names who has the database at `path` open, as far as we may see; OK if nobody, or if there is no
// file. This process must not have it open itself, by SQLite or otherwise: looking drops its locks.
Status CheckNotInUse(const std::string& path);

}  // namespace holdfast::sqlite
