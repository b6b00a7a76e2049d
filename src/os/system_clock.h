// The machine's clocks behind base/clock.h. Lives as long as the program.
#pragma once

#include "base/clock.h"

namespace holdfast {

Clock& SystemClock();

}  // namespace holdfast
