#include "cli/exit_codes.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(ExitCodes, EachKindOfFailureHasItsOwn) {
  EXPECT_EQ(ExitCodeOf(OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(FailedPreconditionError("x")), 1);
  EXPECT_EQ(ExitCodeOf(NotFoundError("x")), 1);
  EXPECT_EQ(ExitCodeOf(ResourceExhaustedError("x")), 1);
  EXPECT_EQ(ExitCodeOf(InternalError("x")), 1);
  EXPECT_EQ(ExitCodeOf(CancelledError("x")), 1);
  EXPECT_EQ(ExitCodeOf(InvalidArgumentError("x")), 2);
  EXPECT_EQ(ExitCodeOf(DataLossError("x")), 3);
  EXPECT_EQ(ExitCodeOf(UnauthenticatedError("x")), 4);
  EXPECT_EQ(ExitCodeOf(PermissionDeniedError("x")), 4);
  EXPECT_EQ(ExitCodeOf(UnavailableError("x")), 5);
  EXPECT_EQ(ExitCodeOf(DeadlineExceededError("x")), 5);
  EXPECT_EQ(ExitCodeOf(AbortedError("x")), 6);
}

}  // namespace
}  // namespace holdfast
