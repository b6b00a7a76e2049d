#include "stream/pump.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <functional>
#include <thread>

#include "stream/memory.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using testing::SampleText;

constexpr std::size_t kBlock = kPumpBlockSize;

// Counts what was read, in blocks; fails at byte `fail_at`.
class CountingSource final : public Source {
 public:
  explicit CountingSource(std::uint64_t size, std::uint64_t fail_at = ~std::uint64_t{0})
      : inner_(size, 'x'), fail_at_(fail_at) {}
  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    if (bytes_read >= fail_at_) return UnavailableError("source broke");
    ASSIGN_OR_RETURN(const std::size_t n, inner_.Read(out));
    bytes_read += n;
    bytes_read.notify_all();
    return n;
  }
  std::atomic<std::uint64_t> bytes_read = 0;

 private:
  testing::RepeatSource inner_;
  std::uint64_t fail_at_;
};

// Runs `on_write` with the number of the block before it takes it.
class ScriptedSink final : public Sink {
 public:
  std::function<Status(std::size_t block)> on_write = [](std::size_t) { return OkStatus(); };
  Status finish_status = OkStatus();

  Status Write(ByteSpan data) override {
    RETURN_IF_ERROR(on_write(sizes.size()));
    sizes.push_back(data.size());
    return OkStatus();
  }
  Status Finish() override {
    ++finished;
    return finish_status;
  }
  std::vector<std::size_t> sizes;
  int finished = 0;
};

TEST(Pump, EverySinkGetsEveryByteInOrder) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kBlock - 1, kBlock, kBlock + 1, 20 * kBlock + 5}) {
    const std::string text = SampleText(size);
    StringSource source(text, /*piece_max=*/100'003);
    StringSink a, b, c;
    Sink* const sinks[] = {&a, &b, &c};
    EXPECT_EQ(Pump(source, sinks).value(), size);
    for (const StringSink* sink : {&a, &b, &c}) {
      EXPECT_TRUE(sink->text() == text);
      EXPECT_TRUE(sink->finished());
    }
  }
}

TEST(Pump, ShortReadsStillMakeFullBlocks) {
  StringSource source(std::string(2 * kBlock + 7, 'x'), /*piece_max=*/1000);
  ScriptedSink sink;
  Sink* const sinks[] = {&sink};
  ASSERT_TRUE(Pump(source, sinks).ok());
  EXPECT_EQ(sink.sizes, (std::vector<std::size_t>{kBlock, kBlock, 7}));
}

TEST(Pump, WithoutSinksTheBytesAreCounted) {
  CountingSource source(3 * kBlock);
  EXPECT_EQ(Pump(source, {}).value(), 3 * kBlock);
}

TEST(Pump, WhereNotEveryThreadCanStartTheOthersEnd) {
  // Stacks of a tebibyte: some of them fit into the address space, 200 do not.
  pthread_attr_t usual, huge;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 40), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  CountingSource source(kBlock);
  std::vector<StringSink> sinks(200);
  std::vector<Sink*> pointers;
  for (StringSink& sink : sinks) pointers.push_back(&sink);
  const Status status = Pump(source, pointers).status();
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  ::pthread_attr_destroy(&usual);
  ::pthread_attr_destroy(&huge);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(source.bytes_read, 0u);
  for (const StringSink& sink : sinks) EXPECT_FALSE(sink.finished());
}

TEST(Pump, ProgressIsToldAfterEachBlockOnTheCallingThread) {
  CountingSource source(2 * kBlock + 1);
  StringSink sink;
  Sink* const sinks[] = {&sink};
  std::vector<std::uint64_t> told;
  const std::thread::id caller = std::this_thread::get_id();
  const PumpOptions options = {.on_progress = [&](std::uint64_t bytes) {
    EXPECT_TRUE(std::this_thread::get_id() == caller);
    told.push_back(bytes);
  }};
  ASSERT_TRUE(Pump(source, sinks, options).ok());
  EXPECT_EQ(told, (std::vector<std::uint64_t>{kBlock, 2 * kBlock, 2 * kBlock + 1}));
}

TEST(Pump, SlowSinkHoldsTheReaderAtTheBound) {
  CountingSource source(40 * kBlock);
  ScriptedSink fast, slow;
  slow.on_write = [&](std::size_t block) {
    // Waits until the ring is full; more than that the reader must never be ahead.
    const std::uint64_t full = std::min<std::uint64_t>(block + kPumpBlocksMax, 40) * kBlock;
    for (std::uint64_t read; (read = source.bytes_read) < full;) source.bytes_read.wait(read);
    EXPECT_EQ(source.bytes_read, full);
    return OkStatus();
  };
  Sink* const sinks[] = {&fast, &slow};
  EXPECT_EQ(Pump(source, sinks).value(), 40 * kBlock);
  EXPECT_EQ(slow.sizes.size(), 40u);
}

TEST(Pump, ErrorOfTheSourceStopsAllAndNobodyIsFinished) {
  for (const std::uint64_t fail_at : {std::uint64_t{0}, std::uint64_t{1}, 5 * kBlock}) {
    CountingSource source(50 * kBlock, fail_at);
    ScriptedSink a, b;
    Sink* const sinks[] = {&a, &b};
    EXPECT_EQ(MessageOf(Pump(source, sinks).status()), "source broke");
    EXPECT_EQ(a.finished + b.finished, 0);
  }
}

TEST(Pump, ErrorOfAnySinkStopsAllAndNobodyIsFinished) {
  for (const std::size_t failing : {0u, 1u, 2u}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{5}, std::size_t{29}}) {
      CountingSource source(30 * kBlock);
      ScriptedSink sinks[3];
      Sink* const all[] = {&sinks[0], &sinks[1], &sinks[2]};
      sinks[failing].on_write = [&](std::size_t block) -> Status {
        if (block < at) return OkStatus();
        // The others race ahead: the ring is full of blocks that this one never takes.
        const std::uint64_t full = std::min<std::uint64_t>(block + kPumpBlocksMax, 30) * kBlock;
        for (std::uint64_t read; (read = source.bytes_read) < full;) source.bytes_read.wait(read);
        return ResourceExhaustedError("disk full");
      };
      EXPECT_EQ(MessageOf(Pump(source, all).status()), "disk full");
      EXPECT_EQ(sinks[0].finished + sinks[1].finished + sinks[2].finished, 0);
      EXPECT_LE(source.bytes_read, (at + kPumpBlocksMax) * kBlock);
    }
  }
}

TEST(Pump, ErrorInASinkEndsAReaderThatGetsLittle) {
  // A source that never ends, one byte at a time.
  class Trickle final : public Source {
   public:
    StatusOr<std::size_t> Read(MutableByteSpan out) override {
      out[0] = 'x';
      // The first block in full, so that the sink has something to fail on.
      if (std::exchange(first_, false)) return out.size();
      return 1;
    }

   private:
    bool first_ = true;
  };
  Trickle source;
  ScriptedSink sink;
  sink.on_write = [](std::size_t) { return InternalError("no"); };
  Sink* const sinks[] = {&sink};
  EXPECT_EQ(MessageOf(Pump(source, sinks).status()), "no");
}

TEST(Pump, ErrorOfFinishIsReturned) {
  for (const std::size_t failing : {0u, 1u}) {
    CountingSource source(2 * kBlock);
    ScriptedSink sinks[2];
    sinks[failing].finish_status = DataLossError("digest differs");
    Sink* const all[] = {&sinks[0], &sinks[1]};
    EXPECT_EQ(MessageOf(Pump(source, all).status()), "digest differs");
    EXPECT_EQ(sinks[failing].finished, 1);
  }
}

class PumpStop : public ::testing::TestWithParam<std::size_t> {
 protected:
  StatusOr<std::uint64_t> PumpUntilStopped(Source& source, std::span<Sink* const> sinks) {
    return Pump(source, sinks, {.stop = stop_.get_token()});
  }
  std::stop_source stop_;
};

TEST_F(PumpStop, BeforeTheStartNothingIsRead) {
  stop_.request_stop();
  CountingSource source(kBlock);
  ScriptedSink sink;
  Sink* const sinks[] = {&sink};
  EXPECT_EQ(PumpUntilStopped(source, sinks).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(source.bytes_read, 0u);
  EXPECT_EQ(sink.finished, 0);
}

TEST_P(PumpStop, InBetweenNobodyIsFinished) {
  CountingSource source(20 * kBlock);
  ScriptedSink sink, other;
  sink.on_write = [&](std::size_t block) {
    if (block == GetParam()) stop_.request_stop();
    return OkStatus();
  };
  Sink* const sinks[] = {&other, &sink};
  EXPECT_EQ(PumpUntilStopped(source, sinks).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(sink.finished + other.finished, 0);
}
// At the 19th all is read, but not all written.
INSTANTIATE_TEST_SUITE_P(AtBlock, PumpStop, ::testing::Values(0, 3, 19));

TEST_F(PumpStop, WhileFinishingItComesTooLate) {
  class StoppingSink final : public Sink {
   public:
    explicit StoppingSink(std::stop_source& stop) : stop_(stop) {}
    Status Write(ByteSpan) override { return OkStatus(); }
    Status Finish() override {
      stop_.request_stop();
      return OkStatus();
    }

   private:
    std::stop_source& stop_;
  };
  CountingSource source(kBlock);
  StoppingSink sink(stop_);
  Sink* const sinks[] = {&sink};
  EXPECT_EQ(PumpUntilStopped(source, sinks).value(), kBlock);
}

}  // namespace
}  // namespace holdfast
