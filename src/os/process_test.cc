#include "os/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <mutex>

#include "os/pipe.h"

namespace holdfast {
namespace {

TEST(Process, OutputArrivesByLineAndTheExitCodeIsKept) {
  std::mutex mutex;
  std::vector<std::string> lines;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "echo one; echo two >&2; exit 3"},
                                    .on_output_line =
                                        [&](std::string_view line) {
                                          const std::scoped_lock lock(mutex);
                                          lines.emplace_back(line);
                                        }})
                   .value();
  const auto reason = child->Wait(absl::Seconds(20), {});
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->Describe(), "exit code 3");
  child.reset();
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
}

TEST(Process, TheLastLinesHaveComeWhenItHasEnded) {
  for (int i = 0; i < 50; ++i) {
    std::mutex mutex;
    std::string last;
    auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "echo why it ends; exit 7"},
                                      .on_output_line =
                                          [&](std::string_view line) {
                                            const std::scoped_lock lock(mutex);
                                            last = line;
                                          }})
                     .value();
    ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
    const std::scoped_lock lock(mutex);
    EXPECT_EQ(last, "why it ends");
  }
}

TEST(Process, WhatItStartedEndsWithIt) {
  std::mutex mutex;
  std::string pid;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "sleep 1000 & echo $!"},
                                    .on_output_line =
                                        [&](std::string_view line) {
                                          const std::scoped_lock lock(mutex);
                                          pid = line;
                                        }})
                   .value();
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  child.reset();  // would wait for the sleep, which holds the pipe
  EXPECT_NE(std::stoi(pid), 0);
}

TEST(Process, IsNotHeldUpByWhoLeftItsGroupAndKeepsTheOutput) {
  std::mutex mutex;
  std::string pid;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "setsid sleep 1000 & echo $!"},
                                    .on_output_line =
                                        [&](std::string_view line) {
                                          const std::scoped_lock lock(mutex);
                                          pid = line;
                                        }})
                   .value();
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  child.reset();
  EXPECT_EQ(::kill(std::stoi(pid), SIGKILL), 0);
}

TEST(Process, MissingProgramIsAnErrorOfStart) {
  const auto child = ChildProcess::Start({.argv = {"/no/such/program"}, .on_output_line = {}});
  EXPECT_EQ(MessageOf(child.status()), "execute /no/such/program: no such file or directory");
}

TEST(Process, StopKillsWhatIgnoresTerm) {
  std::mutex mutex;
  bool ready = false;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c",
                                             "trap '' TERM; echo ready; while :; do sleep 1; done"},
                                    .on_output_line =
                                        [&](std::string_view) {
                                          const std::scoped_lock lock(mutex);
                                          ready = true;
                                        }})
                   .value();
  for (bool seen = false; !seen; child->Wait(absl::Milliseconds(5), {})) {
    const std::scoped_lock lock(mutex);
    seen = ready;
  }
  EXPECT_EQ(child->Stop(absl::Milliseconds(100)).signal, SIGKILL);
}

TEST(Process, StopEndsWhatAWrapperStartedToo) {
  std::mutex mutex;
  std::string pid;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "sleep 600 & echo $!; wait"},
                                    .on_output_line =
                                        [&](std::string_view line) {
                                          const std::scoped_lock lock(mutex);
                                          pid = line;
                                        }})
                   .value();
  for (bool seen = false; !seen; child->Wait(absl::Milliseconds(5), {})) {
    const std::scoped_lock lock(mutex);
    seen = !pid.empty();
  }
  child->Stop(absl::Seconds(20));
  child.reset();  // ends only when nobody holds the output any more
}

TEST(Process, LastLinesArriveBeforeTheEndIsToldOf) {
  std::mutex mutex;
  std::size_t lines = 0;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "seq 20000"},
                                    .on_output_line =
                                        [&](std::string_view) {
                                          const std::scoped_lock lock(mutex);
                                          ++lines;
                                        }})
                   .value();
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  const std::scoped_lock lock(mutex);
  EXPECT_EQ(lines, 20000u);
}

TEST(Process, WaitEndsWhenStopIsRequested) {
  auto child =
      ChildProcess::Start({.argv = {"/bin/sleep", "60"}, .on_output_line = [](auto) {}}).value();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(child->Wait(absl::Hours(1), stop.get_token()));
}

TEST(Process, StopGivesTheGraceAfterAWaitWasStopped) {
  std::atomic<bool> ready = false;
  auto child = ChildProcess::Start(
                   {.argv = {"/bin/sh", "-c",
                             "trap 'sleep 0.1; exit 7' TERM; echo; while :; do sleep 0.01; done"},
                    .on_output_line = [&](std::string_view) { ready = true; }})
                   .value();
  while (!ready) child->Wait(absl::Milliseconds(5), {});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(child->Wait(absl::Milliseconds(100), stop.get_token()));
  EXPECT_EQ(child->Stop(absl::Seconds(60)).Describe(), "exit code 7");
}

TEST(Process, RunAndReadGivesOutputOrTheReason) {
  EXPECT_EQ(RunAndRead({"/bin/echo", "hi"}, absl::Seconds(20)).value(), "hi\n");
  EXPECT_EQ(
      MessageOf(RunAndRead({"/bin/sh", "-c", "echo no >&2; exit 1"}, absl::Seconds(20)).status()),
      "/bin/sh: exit code 1: no");
}

TEST(Process, HiddenVariablesAreNotHandedOn) {
  ::setenv("HIDEME_TOKEN", "secret", 1);
  ::setenv("SHOWME", "fine", 1);
  std::mutex mutex;
  std::string seen;
  auto child = ChildProcess::Start({.argv = {"/usr/bin/env"},
                                    .hidden_environment = {"HIDEME_"},
                                    .on_output_line =
                                        [&](std::string_view line) {
                                          const std::scoped_lock lock(mutex);
                                          seen.append(line).push_back('\n');
                                        }})
                   .value();
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  child.reset();
  EXPECT_NE(seen.find("SHOWME=fine"), std::string::npos);
  EXPECT_EQ(seen.find("HIDEME_"), std::string::npos);
}

TEST(Process, GivenVariablesTakeThePlaceOfOurs) {
  ::setenv("GREETING", "ours", 1);
  ::setenv("GREETING_TOO", "kept", 1);
  EXPECT_EQ(RunAndRead({"/bin/sh", "-c", "echo $GREETING"}, absl::Seconds(20)).value(), "ours\n");
  std::mutex mutex;
  std::string line;
  auto child =
      ChildProcess::Start({.argv = {"/bin/sh", "-c", "echo $GREETING $GREETING_TOO $OTHER"},
                           .environment = {"GREETING=theirs", "OTHER=a=b"},
                           .on_output_line =
                               [&](std::string_view text) {
                                 const std::scoped_lock lock(mutex);
                                 line = text;
                               }})
          .value();
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  child.reset();
  EXPECT_EQ(line, "theirs kept a=b");
}

TEST(Process, ItsOwnPipesCarryBytesAndLinesAreThoseOfStderr) {
  Pipe input = MakePipe().value(), output = MakePipe().value();
  std::mutex mutex;
  std::string line;
  auto child = ChildProcess::Start({.argv = {"/bin/sh", "-c", "cat; echo complaint >&2"},
                                    .input = std::move(input.read),
                                    .output = std::move(output.write),
                                    .on_output_line =
                                        [&](std::string_view text) {
                                          const std::scoped_lock lock(mutex);
                                          line = text;
                                        }})
                   .value();
  const std::string sent("one\ntwo\0three", 13);
  ASSERT_EQ(::write(input.write.get(), sent.data(), sent.size()),
            static_cast<ssize_t>(sent.size()));
  input.write.Reset();
  std::string got;
  char block[64];
  for (ssize_t n; (n = ::read(output.read.get(), block, sizeof block)) > 0;) got.append(block, n);
  EXPECT_EQ(got, sent);
  ASSERT_TRUE(child->Wait(absl::Seconds(20), {}));
  child.reset();
  EXPECT_EQ(line, "complaint");
}

TEST(Process, FindProgramLooksOnPath) {
  EXPECT_TRUE(FindProgram("sh")->ends_with("/sh"));
  EXPECT_EQ(MessageOf(FindProgram("/usr").status()), "/usr is not a program");
  EXPECT_TRUE(absl::IsNotFound(FindProgram("no-such-program-here").status()));
}

}  // namespace
}  // namespace holdfast
