#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace holdfast {
namespace {

TEST(Status, ContextGoesInFrontAndCodeAndHintStay) {
  const Status inner = WithHint(NotFoundError("no file {}", 7), "Look elsewhere.");
  const Status outer = Annotate(inner, "open");
  EXPECT_EQ(MessageOf(outer), "open: no file 7");
  EXPECT_TRUE(absl::IsNotFound(outer));
  EXPECT_EQ(HintOf(outer), "Look elsewhere.");
}

TEST(Status, InnermostHintWins) {
  EXPECT_EQ(HintOf(WithHint(WithHint(NotFoundError("x"), "inner."), "outer.")), "inner.");
}

TEST(Status, ErrnoIsNamedAndMapped) {
  const Status full = ErrnoError(ENOSPC, "write /a at offset 3");
  EXPECT_EQ(MessageOf(full), "write /a at offset 3: no space left on device");
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::IsNotFound(ErrnoError(ENOENT, "x")));
  EXPECT_TRUE(absl::IsDataLoss(ErrnoError(EIO, "x")));
}

Status Outer(StatusOr<int> value, int* out) {
  ASSIGN_OR_RETURN(*out, std::move(value), "step {}", 2);
  RETURN_IF_ERROR(OkStatus());
  return OkStatus();
}

TEST(Status, MacrosPassValuesAndAnnotateErrors) {
  int out = 0;
  EXPECT_TRUE(Outer(5, &out).ok());
  EXPECT_EQ(out, 5);
  EXPECT_EQ(MessageOf(Outer(DataLossError("bad"), &out)), "step 2: bad");
}

}  // namespace
}  // namespace holdfast
