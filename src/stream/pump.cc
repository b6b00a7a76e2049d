#include "stream/pump.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/mutex.h"

namespace holdfast {
namespace {

// The ring between the reader and the sinks. Block number n of the stream lies in slot n % kPumpBlocksMax from the moment
// it is published until every sink has released it; in between nobody writes to it. The first error or a stop ends all
// waiting.
class Ring {
 public:
  explicit Ring(std::size_t sink_count) : released_(sink_count, 0) {}

  // -- The reader.

  // Waits for the slot of the next block.
  StatusOr<MutableByteSpan> SlotToFill() {
    Slot* slot;
    {
      const MutexLock lock(mutex_);
      while (status_.ok() && published_ - SlowestSink() >= kPumpBlocksMax) for_reader_.wait(mutex_);
      RETURN_IF_ERROR(status_);
      slot = &SlotOf(published_);
    }
    if (slot->bytes.empty()) slot->bytes = AlignedBuffer(kPumpBlockSize);
    return slot->bytes.bytes();
  }

  void Publish(std::size_t size) {
    const MutexLock lock(mutex_);
    SlotOf(published_).size = size;
    ++published_;
    for_sinks_.notify_all();
  }

  // No more blocks come: waits until every sink is through, and lets them finish. From here on a stop has no effect.
  void End() {
    const MutexLock lock(mutex_);
    while (status_.ok() && SlowestSink() < published_) for_reader_.wait(mutex_);
    finishing_ = status_.ok();
    for_sinks_.notify_all();
  }

  // -- Sink number `sink`.

  // The next block, in order; none if it is time to finish or to give up.
  std::optional<ByteSpan> NextBlock(std::size_t sink) {
    const MutexLock lock(mutex_);
    while (status_.ok() && !finishing_ && released_[sink] == published_) for_sinks_.wait(mutex_);
    if (!status_.ok() || finishing_) return std::nullopt;
    Slot& slot = SlotOf(released_[sink]);
    return slot.bytes.bytes().first(slot.size);
  }

  void Release(std::size_t sink) {
    const MutexLock lock(mutex_);
    ++released_[sink];
    for_reader_.notify_one();
  }

  bool finishing() {
    const MutexLock lock(mutex_);
    return finishing_;
  }

  // -- Anyone.

  void Fail(const Status& status) {
    const MutexLock lock(mutex_);
    if (status_.ok()) status_ = status;
    WakeAll();
  }

  void Stop() {
    const MutexLock lock(mutex_);
    if (status_.ok() && !finishing_) status_ = CancelledError("stopped");
    WakeAll();
  }

  Status status() {
    const MutexLock lock(mutex_);
    return status_;
  }

 private:
  struct Slot {
    AlignedBuffer bytes;  // made when first used
    std::size_t size = 0;
  };

  void WakeAll() {
    for_reader_.notify_one();
    for_sinks_.notify_all();
  }

  Slot& SlotOf(std::uint64_t block) { return slots_[block % kPumpBlocksMax]; }
  std::uint64_t SlowestSink() const HF_REQUIRES(mutex_) {
    return released_.empty() ? published_ : *std::min_element(released_.begin(), released_.end());
  }

  Mutex mutex_;
  ConditionVariable for_reader_;                       // a block was released
  ConditionVariable for_sinks_;                        // a block was published, or no more come
  std::array<Slot, kPumpBlocksMax> slots_;             // see above for who may touch which
  std::uint64_t published_ HF_GUARDED_BY(mutex_) = 0;  // blocks
  std::vector<std::uint64_t> released_ HF_GUARDED_BY(mutex_);  // blocks, by each sink
  bool finishing_ HF_GUARDED_BY(mutex_) = false;
  Status status_ HF_GUARDED_BY(mutex_);  // the first error
};

void RunSink(Ring& ring, std::size_t number, Sink& sink) {
  ::pthread_setname_np(::pthread_self(), fmt::format("pump-sink-{}", number).c_str());
  while (const std::optional<ByteSpan> block = ring.NextBlock(number)) {
    if (const Status status = sink.Write(*block); !status.ok()) return ring.Fail(status);
    ring.Release(number);
  }
  if (!ring.finishing()) return;
  if (const Status status = sink.Finish(); !status.ok()) ring.Fail(status);
}

// Fills `block` as far as the source reaches; less than all of it means the end.
StatusOr<std::size_t> FillBlock(Source& source, MutableByteSpan block, Ring& ring) {
  std::size_t filled = 0;
  while (filled < block.size()) {
    ASSIGN_OR_RETURN(const std::size_t n, source.Read(block.subspan(filled)));
    if (n == 0) break;
    filled += n;
    RETURN_IF_ERROR(ring.status());
  }
  return filled;
}

StatusOr<std::uint64_t> ReadAll(Source& source, Ring& ring, const PumpOptions& options) {
  std::uint64_t bytes = 0;
  while (true) {
    ASSIGN_OR_RETURN(const MutableByteSpan block, ring.SlotToFill());
    ASSIGN_OR_RETURN(const std::size_t filled, FillBlock(source, block, ring));
    if (filled > 0) {
      ring.Publish(filled);
      bytes += filled;
      if (options.on_progress) options.on_progress(bytes);
    }
    if (filled < block.size()) return bytes;
  }
}

}  // namespace

StatusOr<std::uint64_t> Pump(Source& source, std::span<Sink* const> sinks,
                             const PumpOptions& options) {
  Ring ring(sinks.size());
  const std::stop_callback stop(options.stop, [&ring] { ring.Stop(); });
  std::vector<std::jthread> threads;
  threads.reserve(sinks.size());
  try {
    for (std::size_t i = 0; i < sinks.size(); ++i)
      threads.emplace_back(RunSink, std::ref(ring), i, std::ref(*sinks[i]));
  } catch (const std::system_error& error) {  // the library's only way to say it
    // Those that did start wait for blocks until they are told.
    ring.Fail(ResourceExhaustedError("cannot start a thread: {}", error.what()));
  }
  const StatusOr<std::uint64_t> bytes = ReadAll(source, ring, options);
  if (bytes.ok()) {
    ring.End();
  } else {
    ring.Fail(bytes.status());
  }
  for (std::jthread& thread : threads) thread.join();
  RETURN_IF_ERROR(ring.status());
  return bytes;
}

}  // namespace holdfast
