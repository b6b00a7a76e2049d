// The same for many items, several at once, on threads that end before this returns ("s3-list-N").
#pragma once

#include <cstddef>
#include <functional>

#include "base/status.h"

namespace holdfast {

// Calls `one` for 0..count-1, in no order. The first error ends the rest and is returned.
Status ForEachInParallel(std::size_t count, std::size_t threads_max,
                         const std::function<Status(std::size_t index)>& one);

}  // namespace holdfast
