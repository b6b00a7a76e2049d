#include "keys/passwd_file.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr char kFile[] = "pw-n,node,node,rke2:agent\npw-s,server,server,rke2:server\n";

TEST(PasswdFile, RowsOfTheRealOneAreReadAndWrittenAlike) {
  const auto file = PasswdFile::Parse(kFile);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->PasswordOf("server").reveal(), "pw-s");
  EXPECT_EQ(file->RoleOf("server", Secret("pw-s")), "rke2:server");
  EXPECT_EQ(file->RoleOf("node", Secret("pw-n")), "rke2:agent");
  EXPECT_EQ(file->Format().reveal(), kFile);
}

TEST(PasswdFile, OnlyTheRightPasswordOfThatUserGivesARole) {
  const auto file = PasswdFile::Parse(std::string(kFile) + ",open,open,x\n");
  ASSERT_TRUE(file.ok()) << file.status();
  for (const char* wrong : {"", "pw-", "pw-ss", "pw-n", "PW-S"}) {
    EXPECT_EQ(file->RoleOf("server", Secret(wrong)), std::nullopt) << wrong;
  }
  EXPECT_EQ(file->RoleOf("nobody", Secret("pw-s")), std::nullopt);
  EXPECT_EQ(file->RoleOf("nobody", Secret()), std::nullopt);
  EXPECT_EQ(file->RoleOf("open", Secret()), std::nullopt);
}

TEST(PasswdFile, SetReplacesAndAdds) {
  auto file = *PasswdFile::Parse(kFile);
  file.Set("server", Secret("new"), "rke2:server");
  file.Set("apple", Secret("a"), "fruit");
  EXPECT_EQ(file.Format().reveal(),
            "a,apple,apple,fruit\npw-n,node,node,rke2:agent\nnew,server,server,rke2:server\n");
}

TEST(PasswdFile, TwoColumnsSuffice) {
  const auto file = PasswdFile::Parse("pw,server\r\n\r\n\n  x,y,\r");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->RoleOf("server", Secret("pw")), "");
  EXPECT_EQ(file->RoleOf("y", Secret("  x")), "");
  EXPECT_EQ(PasswdFile::Parse("\r")->Format().reveal(), "");
}

TEST(PasswdFile, AnyPasswordSurvivesTheQuoting) {
  for (const char* password :
       {"a,b", "say \"x\"", "\"", " leading", "\tleading", "two\nlines", "\\.", "trailing ", "#"}) {
    PasswdFile file;
    file.Set("server", Secret(password), "r");
    const std::string text = file.Format().reveal();
    const auto again = PasswdFile::Parse(text);
    ASSERT_TRUE(again.ok()) << text << again.status();
    EXPECT_EQ(again->RoleOf("server", Secret(password)), "r") << text;
  }
}

// What Go's encoding/csv writes for these fields.
TEST(PasswdFile, QuotingIsThatOfGo) {
  PasswdFile file;
  file.Set("u", Secret("a,\"b\" "), " r");
  EXPECT_EQ(file.Format().reveal(), "\"a,\"\"b\"\" \",u,u,\" r\"\n");
  file.Set("u", Secret("\\."), "r ");
  EXPECT_EQ(file.Format().reveal(), "\"\\.\",u,u,r \n");
}

TEST(PasswdFile, QuotedFieldsMaySpanLinesAndBeEmpty) {
  const auto file = PasswdFile::Parse("\"a\r\nb\",u,\"\",\"r1,r2\"\r\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->RoleOf("u", Secret("a\nb")), "r1,r2");
}

TEST(PasswdFile, BrokenTextIsDataLossAtItsLine) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"hunter2\n", "line 1: password file must have at least 2 columns (password, name), found 1"},
      {"a,b\n\nhunter2",
       "line 3: password file must have at least 2 columns (password, name), found 1"},
      {"a,b\nhun\"ter2,b\n", "line 2: a quote in a field without quotes"},
      {"\"hunter2\"x,b\n", "line 1: text after the closing quote"},
      {"a,b\n\"hunter2\n\nb", "line 2: a quote is not closed"}};
  for (const auto& [text, message] : kCases) {
    const Status status = PasswdFile::Parse(text).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << text;
    EXPECT_EQ(MessageOf(status), message) << text;
  }
}

}  // namespace
}  // namespace holdfast
