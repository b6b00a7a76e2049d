// Reads a dump as it passes by: is it whole, and what does kine's table in it hold? (formats/pgdump/archive.h)
#pragma once

#include <memory>

#include "datastore/datastore.h"

namespace holdfast::postgres {

// The COPY of kine's rows in our dumps; only by this are they recognised. pg_restore sends it as it is, and then the data.
std::string KineCopyStatement(const std::string& quoted_table);

std::unique_ptr<Examiner> MakeArchiveExaminer();

}  // namespace holdfast::postgres
