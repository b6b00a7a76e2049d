// CHECK: our own invariants, on in every build. Never for input, disk, network or configuration: those return Status.
#pragma once

namespace holdfast {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace holdfast

#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::holdfast::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)
