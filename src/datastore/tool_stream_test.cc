#include "datastore/tool_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

ToolOptions Shell(std::string script) { return {.argv = {"/bin/sh", "-c", std::move(script)}}; }

StatusOr<std::string> ReadAll(Source& source) {
  std::string text, block(3000, '\0');
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t n,
                     source.Read({reinterpret_cast<std::uint8_t*>(block.data()), block.size()}));
    if (n == 0) return text;
    text.append(block, 0, n);
  }
}

class ToolStream : public ::testing::Test {
 protected:
  ToolStream() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does
};

TEST_F(ToolStream, WhatItPrintsComesToItsEnd) {
  auto source = ReadFromTool(Shell("head -c 5000000 /dev/zero; echo to stderr >&2")).value();
  EXPECT_EQ(ReadAll(*source).value(), std::string(5'000'000, '\0'));
  std::uint8_t byte;
  EXPECT_EQ(source->Read({&byte, 1}).value(), 0u);
}

TEST_F(ToolStream, AFailureAtTheVeryEndIsAnErrorWithItsLastWords) {
  auto source = ReadFromTool(Shell("echo data; echo first >&2; echo lost it >&2; exit 3")).value();
  const Status status = ReadAll(*source).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(MessageOf(status), "sh: exit code 3: first; lost it");
}

TEST_F(ToolStream, BeingKilledIsAnError) {
  auto source = ReadFromTool(Shell("echo data; kill -9 $$")).value();
  EXPECT_EQ(MessageOf(ReadAll(*source).status()), "sh: signal 9");
}

TEST_F(ToolStream, AToolThatDoesNothingIsKilled) {
  ToolOptions options = Shell("exec sleep 1000");
  options.stall_timeout = absl::Milliseconds(50);
  auto source = ReadFromTool(options).value();
  const Status status = ReadAll(*source).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(MessageOf(status), "sh: nothing moved for 50ms");
}

TEST_F(ToolStream, AToolThatClosesItsOutputAndStaysIsKilled) {
  ToolOptions options = Shell("exec >&-; exec sleep 1000");
  options.stall_timeout = absl::Milliseconds(50);
  auto source = ReadFromTool(options).value();
  EXPECT_EQ(ReadAll(*source).status().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(ToolStream, AStopEndsReadingAndWriting) {
  std::stop_source stop;
  ToolOptions options = Shell("exec sleep 1000");
  options.stop = stop.get_token();
  auto source = ReadFromTool(options).value();
  auto sink = WriteToTool(options).value();
  stop.request_stop();
  EXPECT_EQ(ReadAll(*source).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(sink->Write(BytesOf("x")).code(), StatusCode::kCancelled);
}

TEST_F(ToolStream, AStopWakesAReadThatWaits) {
  std::stop_source stop;
  ToolOptions options = Shell("echo; exec sleep 1000");
  options.stop = stop.get_token();
  auto source = ReadFromTool(options).value();
  std::uint8_t byte;
  ASSERT_EQ(source->Read({&byte, 1}).value(), 1u);
  const std::jthread later([&] { stop.request_stop(); });
  EXPECT_EQ(ReadAll(*source).status().code(), StatusCode::kCancelled);
}

TEST_F(ToolStream, ItIsFedToTheEnd) {
  testing::TempDir dir;
  auto sink = WriteToTool(Shell("cat >" + dir.path() + "/copy")).value();
  const std::string text(3'000'000, 'x');
  ASSERT_TRUE(sink->Write(BytesOf(text)).ok());
  ASSERT_TRUE(sink->Write(BytesOf("end")).ok());
  ASSERT_TRUE(sink->Finish().ok());
  std::ifstream file(dir.path() + "/copy");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text + "end");
}

TEST_F(ToolStream, AToolThatEndsEarlySaysWhy) {
  const std::string text(3'000'000, 'x');
  auto sink = WriteToTool(Shell("head -c 1000 >/dev/null; echo no room >&2; exit 1")).value();
  EXPECT_EQ(MessageOf(sink->Write(BytesOf(text))), "sh: exit code 1: no room");
  sink = WriteToTool(Shell("echo enough")).value();
  EXPECT_EQ(MessageOf(sink->Write(BytesOf(text))),
            "sh: ended before it had taken everything: enough");
}

TEST_F(ToolStream, AFailureAfterTheLastByteIsAnErrorOfFinish) {
  auto sink = WriteToTool(Shell("cat >/dev/null; echo rolled back >&2; exit 2")).value();
  ASSERT_TRUE(sink->Write(BytesOf("data")).ok());
  EXPECT_EQ(MessageOf(sink->Finish()), "sh: exit code 2: rolled back");
}

TEST_F(ToolStream, WhatIsNotFinishedIsNoEndForTheTool) {
  testing::TempDir dir;
  auto sink = WriteToTool(Shell("cat >/dev/null; echo done >" + dir / "end")).value();
  ASSERT_TRUE(sink->Write(BytesOf("half")).ok());
  sink.reset();
  EXPECT_FALSE(std::ifstream(dir / "end").is_open());
}

TEST_F(ToolStream, OnlyTheLastLinesAreKept) {
  auto source = ReadFromTool(Shell("seq 1000 >&2; exit 1")).value();
  EXPECT_THAT(MessageOf(ReadAll(*source).status()), HasSubstr("exit code 1: 993; 994;"));
}

TEST_F(ToolStream, SecretsGoByEnvironment) {
  ToolOptions options = Shell("echo $THE_PASSWORD");
  options.environment = {"THE_PASSWORD=hush"};
  auto source = ReadFromTool(options).value();
  EXPECT_EQ(ReadAll(*source).value(), "hush\n");
}

TEST_F(ToolStream, AMissingToolIsAnErrorAtOnce) {
  EXPECT_EQ(MessageOf(ReadFromTool({.argv = {"/no/such/tool"}}).status()),
            "execute /no/such/tool: no such file or directory");
}

}  // namespace
}  // namespace holdfast
