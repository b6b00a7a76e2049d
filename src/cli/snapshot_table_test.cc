#include <gtest/gtest.h>

#include "cli/commands.h"

namespace holdfast {
namespace {

SnapshotRecord Record(const std::string& node, const std::string& location) {
  return {.name = "a-" + node + "-1753178523",
          .node_name = node,
          .location = location,
          .bytes = 5988384,
          .created_at = absl::FromUnixSeconds(1753178523)};
}

const std::string kFile = "file:///s/a-n1-1753178523", kObject = "s3://b/f/a-n1-1753178523";

TEST(SnapshotTable, ACopyInS3IsARowOfItsOwn) {
  EXPECT_EQ(SnapshotTable({Record("n1", kFile), Record("n1", kObject)}, absl::UTCTimeZone()),
            "Name            Location                  Size    Created\n"
            "a-n1-1753178523 file:///s/a-n1-1753178523 5988384 2025-07-22T10:02:03Z\n"
            "a-n1-1753178523 s3://b/f/a-n1-1753178523  5988384 2025-07-22T10:02:03Z\n");
  EXPECT_EQ(SnapshotTable({}, absl::UTCTimeZone()), "Name Location Size Created\n");
}

TEST(SnapshotTable, OfSeveralNodesEachRowSaysWhose) {
  EXPECT_EQ(SnapshotTable({Record("n1", kObject), Record("n2", "s3://b/f/a-n2-1753178523")},
                          absl::UTCTimeZone()),
            "Name            Node Location                 Size    Created\n"
            "a-n1-1753178523 n1   s3://b/f/a-n1-1753178523 5988384 2025-07-22T10:02:03Z\n"
            "a-n2-1753178523 n2   s3://b/f/a-n2-1753178523 5988384 2025-07-22T10:02:03Z\n");
}

}  // namespace
}  // namespace holdfast
