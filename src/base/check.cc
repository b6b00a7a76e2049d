#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace holdfast {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "holdfast: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace holdfast
