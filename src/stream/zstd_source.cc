#include "stream/zstd_source.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <array>
#include <bit>
#include <vector>

namespace holdfast {
namespace {

constexpr std::size_t kFrameHeaderSizeMax = 18;  // RFC 8878 3.1.1, with the magic number

class ZstdSource final : public DecompressedSource {
 public:
  ZstdSource(const RandomAccess& file, std::optional<std::uint64_t> size)
      : file_(file), size_(size), buffer_(ZSTD_DStreamInSize()), context_(ZSTD_createDCtx()) {
    CHECK(context_ != nullptr);
    constexpr int kWindowLogMax = std::countr_zero(kZstdWindowMax);
    CHECK(
        !ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLogMax)));
  }

  Compression compression() const override { return Compression::kZstd; }
  std::optional<std::uint64_t> size() const override { return size_; }

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    ZSTD_outBuffer to = {out.data(), out.size(), 0};
    while (to.pos == 0) {
      if (!in_frame_) {
        ASSIGN_OR_RETURN(in_frame_, FrameFollows());
        if (!in_frame_) return 0;
      }
      if (input_.pos == input_.size) RETURN_IF_ERROR(Refill());
      const bool ended = input_.size == 0;
      const std::size_t left = ZSTD_decompressStream(context_.get(), &to, &input_);
      if (ZSTD_isError(left)) return Failure(left);
      if (left == 0) in_frame_ = false;
      if (ended && in_frame_ && to.pos == 0) {
        return DataLossError("{}: truncated: ends at {} within a zstd frame", file_.path(),
                             offset_);
      }
    }
    return to.pos;
  }

 private:
  struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  // Between frames: false at the end of the file, an error if what follows is no frame. Skippable frames (RFC 8878 3.1.2)
  // and those of zstd before 0.8 count as none: neither `zstd` nor we write them.
  StatusOr<bool> FrameFollows() {
    const std::uint64_t at = offset_ - (input_.size - input_.pos);
    std::array<std::uint8_t, 4> magic;
    ASSIGN_OR_RETURN(const std::size_t n, file_.ReadAt(at, magic));
    if (n == 0) return false;
    if (SniffCompression(ByteSpan(magic).first(n)) == Compression::kZstd) return true;
    return DataLossError("{}: what follows the zstd frames at {} is no zstd frame", file_.path(),
                         at);
  }

  Status Refill() {
    ASSIGN_OR_RETURN(const std::size_t n, file_.ReadAt(offset_, buffer_));
    offset_ += n;
    input_ = {buffer_.data(), n, 0};
    return OkStatus();
  }

  Status Failure(std::size_t result) const {
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return UnexpectedContentsError(file_, "needs a zstd window above {} MiB",
                                       kZstdWindowMax / kMiB);
      case ZSTD_error_dictionary_wrong:
        return UnexpectedContentsError(file_, "needs a zstd dictionary");
      case ZSTD_error_memory_allocation:
        return ResourceExhaustedError("{}: no memory for its zstd window", file_.path());
      default:
        return DataLossError("{}: broken zstd data before {}: {}", file_.path(), offset_,
                             ZSTD_getErrorName(result));
    }
  }

  const RandomAccess& file_;
  const std::optional<std::uint64_t> size_;
  std::vector<std::uint8_t> buffer_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};  // what of the buffer is still to be read
  std::uint64_t offset_ = 0;               // in the file, of what follows the buffer
  bool in_frame_ = false;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
};

}  // namespace

StatusOr<std::unique_ptr<DecompressedSource>> OpenZstd(const RandomAccess& file) {
  std::array<std::uint8_t, kFrameHeaderSizeMax> header;
  ASSIGN_OR_RETURN(const std::size_t n, file.ReadAt(0, header));
  const unsigned long long claimed = ZSTD_getFrameContentSize(header.data(), n);
  std::optional<std::uint64_t> size;
  if (claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed != ZSTD_CONTENTSIZE_ERROR) size = claimed;
  return std::make_unique<ZstdSource>(file, size);
}

}  // namespace holdfast
