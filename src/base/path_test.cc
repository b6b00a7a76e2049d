#include "base/path.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Path, JoinPutsOneSlashAndLetsAbsolutePartsWin) {
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/a/", "b", "c"), "/a/b/c");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(JoinPath("/a", "/b"), "/b");
}

TEST(Path, BaseAndDirName) {
  EXPECT_EQ(BaseName("/a/b"), "b");
  EXPECT_EQ(BaseName("/a/b/"), "b");
  EXPECT_EQ(DirName("/a/b"), "/a");
  EXPECT_EQ(DirName("/b"), "/");
  EXPECT_EQ(DirName("b"), ".");
  EXPECT_EQ(DirName("/"), "/");
}

TEST(Path, AbsoluteResolvesDots) {
  EXPECT_EQ(AbsolutePath("../x/./y", "/a/b"), "/a/x/y");
  EXPECT_EQ(AbsolutePath("/x//y/", "/a"), "/x/y");
  EXPECT_EQ(AbsolutePath("../../../..", "/a"), "/");
}

TEST(Path, PlainFileNamesStayInTheirDirectory) {
  EXPECT_TRUE(IsPlainFileName("on-demand-n-1"));
  EXPECT_TRUE(IsPlainFileName("..x"));
  for (const char* bad : {"", ".", "..", "a/b", "/a", "../a"})
    EXPECT_FALSE(IsPlainFileName(bad)) << bad;
  EXPECT_FALSE(IsPlainFileName(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace holdfast
