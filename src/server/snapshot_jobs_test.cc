#include "server/snapshot_jobs.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/mutex.h"
#include "testing/fake_clock.h"

namespace holdfast {
namespace {

// 2023-11-14T22:13:20Z
constexpr std::int64_t kStart = 1'700'000'000;

// Always gives the same share of what is asked for.
class SteadyRandom final : public Random {
 public:
  explicit SteadyRandom(std::uint64_t value) : value_(value) {}
  void Fill(MutableByteSpan out) override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::uint8_t>(value_ >> (8 * (i % 8)));
  }

 private:
  const std::uint64_t value_;
};

CronSchedule Cron(const char* spec) {
  return CronSchedule::Parse(spec, absl::UTCTimeZone()).value();
}

std::string LineOf(const Metrics& metrics, const std::string& name) {
  const std::string page = "\n" + metrics.Page();
  const auto start = page.find("\n" + name + " ");
  return start == std::string::npos
             ? ""
             : page.substr(start + name.size() + 2,
                           page.find('\n', start + 1) - start - name.size() - 2);
}

class SnapshotScheduleTest : public ::testing::Test {
 protected:
  void Start(const char* spec, std::uint64_t chance = 0) {
    random_.emplace(chance);
    schedule_.emplace(clock_, *random_, metrics_, Cron(spec), [this](std::stop_token stop) {
      {
        const MutexLock lock(mutex_);
        runs_.push_back(clock_.Now());
      }
      if (while_running_) while_running_(stop);
    });
  }
  // Lets the schedule sleep until it has run `count` times.
  void RunUntil(std::size_t count) {
    while (runs().size() < count) clock_.Advance(clock_.WaitForSleep());
    clock_.WaitForSleep();
  }
  std::vector<absl::Time> runs() {
    const MutexLock lock(mutex_);
    return runs_;
  }

  testing::FakeClock clock_{absl::FromUnixSeconds(kStart)};
  Metrics metrics_{"x_"};
  std::optional<SteadyRandom> random_;
  std::function<void(std::stop_token)> while_running_;
  Mutex mutex_;
  std::vector<absl::Time> runs_;
  std::optional<SnapshotSchedule> schedule_;
};

absl::Time At(std::int64_t seconds_after_start) {
  return absl::FromUnixSeconds(kStart + seconds_after_start);
}

TEST_F(SnapshotScheduleTest, RunsAtTheFullMinuteAndNotAtTheStart) {
  Start("* * * * *");
  clock_.WaitForSleep();
  EXPECT_TRUE(runs().empty());
  EXPECT_EQ(LineOf(metrics_, "x_etcd_snapshot_next_run_timestamp_seconds"), "1700000040");
  RunUntil(3);
  EXPECT_EQ(runs(), (std::vector{At(40), At(100), At(160)}));
  EXPECT_EQ(LineOf(metrics_, "x_etcd_snapshot_next_run_timestamp_seconds"), "1700000220");
}

TEST_F(SnapshotScheduleTest, IsLateByTheJitterOfLessThanFiveSeconds) {
  Start("* * * * *", 4'999'999'999);
  RunUntil(2);
  EXPECT_EQ(runs(), (std::vector{At(45) - absl::Nanoseconds(1), At(105) - absl::Nanoseconds(1)}));
}

TEST_F(SnapshotScheduleTest, WhatIsMissedDuringALongRunIsLeftOut) {
  while_running_ = [&](std::stop_token) {
    if (runs().size() == 1) clock_.Advance(absl::Minutes(5) + absl::Seconds(30));
  };
  Start("* * * * *");
  RunUntil(3);
  EXPECT_EQ(runs(), (std::vector{At(40), At(400), At(460)}));
}

TEST_F(SnapshotScheduleTest, AClockThatIsSetForwardIsNoticed) {
  Start("0 3 * * *");
  clock_.WaitForSleep();
  // Half an hour late, not a day.
  clock_.SetNow(absl::FromCivil(absl::CivilSecond(2023, 11, 15, 3, 30, 0), absl::UTCTimeZone()));
  clock_.Advance(clock_.WaitForSleep());
  RunUntil(1);
  EXPECT_LT(runs()[0],
            absl::FromCivil(absl::CivilSecond(2023, 11, 15, 3, 31, 0), absl::UTCTimeZone()));
  EXPECT_EQ(LineOf(metrics_, "x_etcd_snapshot_next_run_timestamp_seconds"),
            "1700103600");  // 2023-11-16T03:00:00Z
}

TEST_F(SnapshotScheduleTest, AClockThatIsSetBackALittleDoesNotRunItEarly) {
  Start("* * * * *");
  clock_.WaitForSleep();
  clock_.SetNow(At(-30));
  RunUntil(1);
  EXPECT_GE(runs()[0], At(40));
}

// The clock of a host ran years ahead until it heard of the time.
TEST_F(SnapshotScheduleTest, AClockThatIsSetBackFarDoesNotStopIt) {
  Start("0 * * * *");
  clock_.WaitForSleep();
  clock_.SetNow(At(-100'000'000));
  RunUntil(1);
  EXPECT_LE(runs()[0], At(-100'000'000 + 3600 + 60));
}

TEST_F(SnapshotScheduleTest, EndsWhileItWaitsAndWhileItRuns) {
  Start("* * * * *");
  clock_.WaitForSleep();
  schedule_.reset();
  EXPECT_TRUE(runs().empty());

  std::atomic<bool> stopped = false;
  while_running_ = [&](std::stop_token stop) {
    while (clock_.Sleep(absl::Hours(1), stop)) continue;
    stopped = true;
  };
  Start("@every 1s");
  while (runs().empty()) clock_.Advance(clock_.WaitForSleep());
  schedule_.reset();
  EXPECT_TRUE(stopped);
}

TEST(Reconciler, WorksAtOnceAndThenAfterEachIntervalAndALittle) {
  testing::FakeClock clock;
  SteadyRandom random(7);
  std::atomic<int> worked = 0;
  const Reconciler reconciler(clock, random, absl::Minutes(10), [&](std::stop_token) { ++worked; });
  for (int i = 1; i < 5; ++i) {
    EXPECT_EQ(clock.WaitForSleep(), absl::Minutes(10) + absl::Nanoseconds(7));
    EXPECT_EQ(worked, i);
    clock.Advance(absl::Minutes(11));
  }
}

TEST(Reconciler, WokenItWorksAtOnceAlsoIfItWasAtWork) {
  testing::FakeClock clock;
  SteadyRandom random(0);
  std::atomic<int> worked = 0;
  Reconciler* self = nullptr;
  Reconciler reconciler(clock, random, absl::Minutes(10), [&](std::stop_token) {
    if (++worked == 2) self->Wake();  // something came up meanwhile
  });
  clock.WaitForSleep();
  EXPECT_EQ(worked, 1);
  self = &reconciler;
  reconciler.Wake();
  while (worked < 3) clock.WaitForSleep();
  clock.WaitForSleep();
  EXPECT_EQ(worked, 3);
}

TEST(Reconciler, StoppingEndsWorkAndSleep) {
  testing::FakeClock clock;
  SteadyRandom random(0);
  std::atomic<bool> stopped = false;
  {
    const Reconciler reconciler(clock, random, absl::Minutes(10), [&](std::stop_token stop) {
      stopped = !clock.Sleep(absl::Hours(1), std::move(stop));
    });
    clock.WaitForSleep();
  }
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace holdfast
