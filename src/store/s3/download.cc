#include "store/s3/download.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/text.h"
#include "store/s3/upload.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kBlockBytes = 8 * kMiB;
constexpr std::uint64_t kAhead = 4;    // blocks, and as many fetchers
constexpr std::size_t kBlocksMax = 6;  // those, the one that is read, and the one before it

class S3Download final : public RandomAccess {
 public:
  S3Download(std::shared_ptr<S3Client> client, std::string key, std::string etag,
             std::uint64_t bytes)
      : client_(std::move(client)),
        key_(std::move(key)),
        etag_(std::move(etag)),
        path_(client_->Location(key_)),
        bytes_(bytes),
        on_stop_(client_->context().stop, [this] { stop_.request_stop(); }) {}

  ~S3Download() override {
    {
      const MutexLock lock(mutex_);
      ending_ = true;
      for_fetchers_.notify_all();
    }
    stop_.request_stop();
  }

  const std::string& path() const override { return path_; }
  StatusOr<std::uint64_t> Size() const override { return bytes_; }
  bool IsFar() const override { return true; }

  StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
    std::size_t done = 0;
    while (done < out.size() && offset + done < bytes_) {
      const std::uint64_t at = offset + done;
      ASSIGN_OR_RETURN(const std::shared_ptr<const Block> block, Get(at / kBlockBytes));
      const std::size_t from = at % kBlockBytes;
      const std::size_t n = std::min(out.size() - done, block->size - from);
      // A block that is ready does not change, and stays while we have it.
      std::memcpy(out.data() + done, block->buffer.bytes().data() + from, n);
      done += n;
    }
    return done;
  }

 private:
  struct Block {
    std::uint64_t number = 0;
    std::size_t size = 0;
    mutable AlignedBuffer buffer;
    // Guarded by the mutex of the object.
    enum class State { kWaiting, kReady, kFailed } state = State::kWaiting;
    Status status;
    std::uint64_t used_at = 0;
  };

  // Waits for a block and lets the next ones be fetched if this looks like reading in order.
  StatusOr<std::shared_ptr<const Block>> Get(std::uint64_t number) const {
    const MutexLock lock(mutex_);
    const std::shared_ptr<Block> block = Want(number, /*urgent=*/true);
    if (number == last_ || number == last_ + 1) {
      for (std::uint64_t next = number + 1; next <= number + kAhead && next < BlockCount();
           ++next) {
        if (blocks_.size() >= kBlocksMax && !blocks_.contains(next) && !DropOldest(number)) break;
        (void)Want(next, /*urgent=*/false);
      }
    }
    last_ = number;
    while (block->state == Block::State::kWaiting) for_readers_.wait(mutex_);
    if (block->state == Block::State::kReady) return block;
    // The next reader may have more luck.
    if (const auto it = blocks_.find(number); it != blocks_.end() && it->second == block)
      blocks_.erase(it);
    return block->status;
  }

  std::shared_ptr<Block> Want(std::uint64_t number, bool urgent) const HF_REQUIRES(mutex_) {
    if (const auto it = blocks_.find(number); it != blocks_.end()) {
      it->second->used_at = ++uses_;
      return it->second;
    }
    if (blocks_.size() >= kBlocksMax) (void)DropOldest(number);
    auto block = std::make_shared<Block>();
    block->number = number;
    block->size = std::min(kBlockBytes, bytes_ - number * kBlockBytes);
    block->used_at = ++uses_;
    blocks_[number] = block;
    if (urgent) {
      wanted_.push_front(block);
    } else {
      wanted_.push_back(block);
    }
    StartFetchers();
    for_fetchers_.notify_one();
    return block;
  }

  // Of those that nobody waits for. False if there is none but `except`.
  bool DropOldest(std::uint64_t except) const HF_REQUIRES(mutex_) {
    auto oldest = blocks_.end();
    for (auto it = blocks_.begin(); it != blocks_.end(); ++it) {
      if (it->first == except || it->second->state == Block::State::kWaiting) continue;
      if (oldest == blocks_.end() || it->second->used_at < oldest->second->used_at) oldest = it;
    }
    if (oldest == blocks_.end()) return false;
    // New memory costs more than the copy into it. A reader may still have the block.
    if (oldest->second.use_count() == 1) free_.push_back(std::move(oldest->second->buffer));
    blocks_.erase(oldest);
    return true;
  }

  std::uint64_t BlockCount() const { return (bytes_ + kBlockBytes - 1) / kBlockBytes; }

  void StartFetchers() const HF_REQUIRES(mutex_) {
    const std::uint64_t wanted =
        client_->options().bytes_per_second_max > 0 ? 1 : std::min(kAhead, BlockCount());
    while (fetchers_.size() < wanted)
      fetchers_.emplace_back([this, i = fetchers_.size()] { Fetch(i); });
  }

  // A fetcher's life.
  void Fetch(std::size_t number) const {
    ::pthread_setname_np(::pthread_self(), fmt::format("s3-download-{}", number).c_str());
    while (true) {
      std::shared_ptr<Block> block;
      {
        const MutexLock lock(mutex_);
        while (!ending_ && wanted_.empty()) for_fetchers_.wait(mutex_);
        if (ending_) return;
        block = std::move(wanted_.front());
        wanted_.pop_front();
        if (!free_.empty()) {
          block->buffer = std::move(free_.back());
          free_.pop_back();
        }
      }
      if (block->buffer.empty()) block->buffer = AlignedBuffer(std::min(kBlockBytes, bytes_));
      const Status status =
          FetchRange(block->number * kBlockBytes, block->buffer.bytes().first(block->size));
      const MutexLock lock(mutex_);
      block->status = status;
      block->state = status.ok() ? Block::State::kReady : Block::State::kFailed;
      for_readers_.notify_all();
    }
  }

  // Fills `out`, going on where a try broke off.
  Status FetchRange(std::uint64_t offset, MutableByteSpan out) const {
    Retry retry = client_->MakeRetry(stop_.get_token());
    std::size_t done = 0;
    while (true) {
      const std::size_t before = done;
      S3Request request{.key = key_,
                        .headers = {{"range", fmt::format("bytes={}-{}", offset + done,
                                                          offset + out.size() - 1)}},
                        .on_body =
                            [&](std::string_view piece) {
                              if (piece.size() > out.size() - done)
                                return DataLossError("the server sent more than was asked for");
                              std::memcpy(out.data() + done, piece.data(), piece.size());
                              done += piece.size();
                              return OkStatus();
                            },
                        .stop = stop_.get_token()};
      if (!etag_.empty()) request.headers["if-match"] = etag_;
      const S3Client::Try result = client_->CallOnce(request);
      Status status = result.answer.status();
      if (status.ok()) status = CheckRange(*result.answer, offset + before);
      if (status.ok() && done == out.size()) return OkStatus();
      if (status.ok())
        status = UnavailableError("GET {}: {} bytes came where {} were asked for", path_,
                                  done - before, out.size() - before);
      if (done > before) retry.Progressed();
      RETURN_IF_ERROR(retry.Again(status, result.asked), "at byte {}", offset + done);
    }
  }

  // The bytes that came are those from `offset` on.
  Status CheckRange(const HttpResponse& answer, std::uint64_t offset) const {
    const std::string_view range = answer.Header("content-range");
    if (answer.code == 206 && range.starts_with(fmt::format("bytes {}-", offset)))
      return OkStatus();
    // A server that knows no ranges is fine if all was asked for.
    if (answer.code == 200 && offset == 0 && bytes_ <= kBlockBytes) return OkStatus();
    return DataLossError("GET {}: the answer {} \"{:.60}\" is not the range from {}", path_,
                         answer.code, range, offset);
  }

  const std::shared_ptr<S3Client> client_;
  const std::string key_, etag_, path_;
  const std::uint64_t bytes_;

  std::stop_source stop_;  // of this object's requests
  const std::stop_callback<std::function<void()>> on_stop_;
  mutable Mutex mutex_;
  mutable ConditionVariable for_readers_, for_fetchers_;
  mutable std::map<std::uint64_t, std::shared_ptr<Block>> blocks_ HF_GUARDED_BY(mutex_);
  mutable std::vector<AlignedBuffer> free_ HF_GUARDED_BY(mutex_);
  mutable std::deque<std::shared_ptr<Block>> wanted_ HF_GUARDED_BY(mutex_);
  mutable std::uint64_t last_ HF_GUARDED_BY(mutex_) = 0, uses_ HF_GUARDED_BY(mutex_) = 0;
  mutable bool ending_ HF_GUARDED_BY(mutex_) = false;
  mutable std::vector<std::jthread> fetchers_ HF_GUARDED_BY(mutex_);
};

}  // namespace

StatusOr<std::unique_ptr<RandomAccess>> OpenS3Object(std::shared_ptr<S3Client> client,
                                                     const std::string& key) {
  ASSIGN_OR_RETURN(const HttpResponse head, HeadS3Object(*client, key));
  const auto bytes = ParseUint(head.Header("content-length"));
  if (!bytes)
    return DataLossError("HEAD {}: the answer has no Content-Length", client->Location(key));
  return std::make_unique<S3Download>(std::move(client), key, std::string(head.Header("etag")),
                                      *bytes);
}

}  // namespace holdfast
