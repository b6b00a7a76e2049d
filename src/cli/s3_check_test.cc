#include <gtest/gtest.h>

#include "cli/commands.h"

namespace holdfast {
namespace {

const std::vector<S3CheckStep> kSteps = {
    {"find the bucket", "s3:ListBucket on arn:aws:s3:::b", OkStatus(), "in 3ms"},
    {"delete an object", "s3:DeleteObject on arn:aws:s3:::b/f/*",
     WithHint(PermissionDeniedError("AccessDenied"), "Ask for it."), ""}};

TEST(S3Check, TheTableNamesThePermissionThatIsMissing) {
  EXPECT_EQ(S3CheckTable(kSteps),
            "CHECK            RESULT NEEDS                                 DETAIL\n"
            "find the bucket  ok     s3:ListBucket on arn:aws:s3:::b       in 3ms\n"
            "delete an object FAILED s3:DeleteObject on arn:aws:s3:::b/f/* AccessDenied\n");
}

TEST(S3Check, Json) {
  EXPECT_EQ(S3CheckJson(kSteps), R"([
    {
        "what": "find the bucket",
        "ok": true,
        "needs": "s3:ListBucket on arn:aws:s3:::b",
        "detail": "in 3ms"
    },
    {
        "what": "delete an object",
        "ok": false,
        "needs": "s3:DeleteObject on arn:aws:s3:::b/f/*",
        "error": "AccessDenied"
    }
]
)");
}

TEST(S3Check, OneFailureFailsTheCommand) {
  const Status status = S3CheckResult(kSteps);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_EQ(MessageOf(status), "1 of 2 S3 checks failed: delete an object");
  EXPECT_EQ(HintOf(status), "Ask for it.");
  EXPECT_TRUE(S3CheckResult({kSteps[0]}).ok());
  EXPECT_TRUE(S3CheckResult({}).ok());
}

}  // namespace
}  // namespace holdfast
