#include "stream/zstd_sink.h"

#include <zstd.h>

namespace holdfast {
namespace {

// How far back a repetition is found: 16 MiB. Pods of one app repeat their template far apart.
constexpr int kWindowLog = 24;

}  // namespace

void ZstdSink::FreeContext::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

ZstdSink::ZstdSink(Sink& out, const ZstdSinkOptions& options)
    : out_(out),
      content_size_(options.content_size),
      context_(ZSTD_createCCtx()),
      output_(ZSTD_CStreamOutSize()) {
  CHECK(context_ != nullptr);
  CHECK(options.level >= kZstdLevelMin && options.level <= kZstdLevelMax);
  const auto set = [this](ZSTD_cParameter parameter, int value) {
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)));
  };
  set(ZSTD_c_compressionLevel, options.level);
  set(ZSTD_c_checksumFlag, 1);
  set(ZSTD_c_enableLongDistanceMatching, 1);
  set(ZSTD_c_windowLog, kWindowLog);
  if (content_size_)
    CHECK(!ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_.get(), *content_size_)));
}

Status ZstdSink::Write(ByteSpan data) {
  size_ += data.size();
  if (content_size_ && size_ > *content_size_) {
    return DataLossError("compress: more than the {} bytes that were announced", *content_size_);
  }
  return Compress(data, /*last=*/false);
}

Status ZstdSink::Finish() {
  if (content_size_ && size_ != *content_size_) {
    return DataLossError("compress: {} bytes came, {} were announced", size_, *content_size_);
  }
  RETURN_IF_ERROR(Compress({}, /*last=*/true));
  return out_.Finish();
}

Status ZstdSink::Compress(ByteSpan data, bool last) {
  ZSTD_inBuffer from = {data.data(), data.size(), 0};
  while (true) {
    ZSTD_outBuffer to = {output_.data(), output_.size(), 0};
    const std::size_t left =
        ZSTD_compressStream2(context_.get(), &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return InternalError("compress: {}", ZSTD_getErrorName(left));
    if (to.pos > 0) RETURN_IF_ERROR(out_.Write(ByteSpan(output_).first(to.pos)));
    if (last ? left == 0 : from.pos == from.size) return OkStatus();
  }
}

}  // namespace holdfast
