#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include "store/local_store.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

TEST(Catalog, OldestFirstWithManifestsAndBrokenOnesStillListed) {
  const testing::TempDir dir;
  FileSystem& fs = PosixFileSystem();
  ASSERT_TRUE(fs.MakeDirectory(dir / "s", 0700).ok());
  LocalStore store(fs, dir / "s");
  for (const char* name : {"b-n-200", "a-n-200.zip", "c-n-100", "foreign.db"}) {
    auto object = store.Create(name, {}).value();
    ASSERT_TRUE(object->Finish().ok() && object->Commit().ok());
  }
  ASSERT_TRUE(fs.SetModified(dir / "s/foreign.db", absl::FromUnixSeconds(150)).ok());
  ASSERT_TRUE(
      store
          .WriteMetadata(
              "c-n-100",
              Manifest{.base = "c", .node = "n", .created_at = absl::FromUnixSeconds(100)}.Encode())
          .ok());
  ASSERT_TRUE(store.WriteMetadata("b-n-200", "broken").ok());
  const auto entries = ListCatalog(store).value();
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].name, "c-n-100");
  EXPECT_EQ(entries[0].manifest->base, "c");
  EXPECT_EQ(entries[1].name, "foreign.db");
  EXPECT_EQ(entries[2].name, "a-n-200.zip");
  EXPECT_EQ(entries[3].error, "snapshot metadata is not a JSON object");
}

}  // namespace
}  // namespace holdfast
