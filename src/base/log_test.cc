#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { EXPECT_TRUE(StartLog({}).ok()); }

  // What goes to the log file when `text` is logged.
  std::string Line(std::string_view text, LogLevel level = LogLevel::kInfo) {
    EXPECT_TRUE(StartLog({.file = dir_ / "log", .to_stderr = false}).ok());
    LogLine(level, text);
    std::string out = testing::ReadTestFile(dir_ / "log");
    EXPECT_EQ(::unlink((dir_ / "log").c_str()), 0);
    return out;
  }
  std::string Message(std::string_view text) {
    const std::string line = Line(text);
    return line.substr(line.find(" msg=") + 5);
  }

  testing::TempDir dir_;
};

TEST_F(LogTest, ALineHasLogrusForm) {
  EXPECT_THAT(
      Line("Snapshot x saved."),
      MatchesRegex("time=\"20..-..-..T..:..:..[^\"]*\" level=info msg=\"Snapshot x saved.\"\n"));
  EXPECT_THAT(Line("x", LogLevel::kWarn), HasSubstr(" level=warning msg=x\n"));
  EXPECT_THAT(Line("x", LogLevel::kError), HasSubstr(" level=error msg=x\n"));
  EXPECT_THAT(Line("x", LogLevel::kFatal), HasSubstr(" level=fatal msg=x\n"));
}

TEST_F(LogTest, TextIsQuotedWhereLogrusQuotesIt) {
  for (const char* plain : {"word", "a-b._/@^+c", "1753178523"})
    EXPECT_EQ(Message(plain), std::string(plain) + "\n");
  EXPECT_EQ(Message(""), "\"\"\n");
  EXPECT_EQ(Message("two words"), "\"two words\"\n");
  EXPECT_EQ(Message("a=b"), "\"a=b\"\n");
  EXPECT_EQ(Message("say \"hi\" \\ back"), "\"say \\\"hi\\\" \\\\ back\"\n");
  EXPECT_EQ(Message("größer"), "\"größer\"\n");
}

TEST_F(LogTest, OneEventStaysOneLine) {
  EXPECT_EQ(Message("a\nb\r\tc"), "\"a\\nb\\r\\tc\"\n");
  EXPECT_EQ(Message(std::string_view("\x1b[2J\0\x7f", 6)), "\"\\x1b[2J\\x00\\x7f\"\n");
}

TEST_F(LogTest, DebugLinesComeOnlyWhenAskedFor) {
  EXPECT_EQ(Line("x", LogLevel::kDebug), "");
  EXPECT_FALSE(LogsDebug());
  ASSERT_TRUE(StartLog({.debug = true, .file = dir_ / "log", .to_stderr = false}).ok());
  EXPECT_TRUE(LogsDebug());
  LogDebug("{} and {}", 1, 2);
  EXPECT_THAT(testing::ReadTestFile(dir_ / "log"), HasSubstr(" level=debug msg=\"1 and 2\"\n"));
}

TEST_F(LogTest, OnATerminalLinesAreShort) {
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({.debug = true, .terminal = true}).ok());
  LogInfo("Snapshot \"x\" saved.");
  LogWarn("w");
  LogError("e");
  LogFatal("f");
  LogDebug("d");
  EXPECT_EQ(
      ::testing::internal::GetCapturedStderr(),
      "INFO[0000] Snapshot \"x\" saved.\nWARN[0000] w\nERRO[0000] e\nFATA[0000] f\nDEBU[0000] d\n");
}

TEST_F(LogTest, AFileGetsTheLongFormAndIsAppendedTo) {
  testing::WriteTestFile(dir_ / "log", "before\n");
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({.terminal = true, .file = dir_ / "log", .to_stderr = true}).ok());
  LogInfo("both");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "INFO[0000] both\n");
  EXPECT_THAT(testing::ReadTestFile(dir_ / "log"),
              MatchesRegex("before\ntime=\"[^\"]*\" level=info msg=both\n"));
}

TEST_F(LogTest, AFileThatCannotBeOpenedLeavesTheLogAsItWas) {
  ASSERT_TRUE(StartLog({.file = dir_ / "log", .to_stderr = false}).ok());
  const Status status = StartLog({.file = dir_.path()});
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("open log file " + dir_.path()));
  LogInfo("still");
  EXPECT_THAT(testing::ReadTestFile(dir_ / "log"), HasSubstr("msg=still\n"));
}

}  // namespace
}  // namespace holdfast
