#include "store/file_sink.h"

#include <algorithm>

namespace holdfast {
namespace {

constexpr std::uint64_t kWritebackStep = 8 * kMiB;
constexpr std::size_t kBufferSize = 1 * kMiB;

bool IsAligned(ByteSpan data) {
  return reinterpret_cast<std::uintptr_t>(data.data()) % kAlignment == 0;
}

}  // namespace

FileSink::FileSink(File& file, Kind kind) : file_(&file), kind_(kind) {
  if (kind == Kind::kArchive) file.WriteDirectly();
}

Status FileSink::Write(ByteSpan data) {
  if (kind_ != Kind::kArchive) return WriteNow(data);
  while (!data.empty()) {
    if (held_ == 0 && IsAligned(data) && data.size() >= kAlignment) {
      const std::size_t whole = data.size() / kAlignment * kAlignment;
      RETURN_IF_ERROR(WriteNow(data.first(whole)));
      data = data.subspan(whole);
      continue;
    }
    if (buffer_.empty()) buffer_ = AlignedBuffer(kBufferSize);
    const std::size_t n = std::min(data.size(), kBufferSize - held_);
    std::copy_n(data.begin(), n, buffer_.bytes().begin() + static_cast<std::ptrdiff_t>(held_));
    held_ += n;
    data = data.subspan(n);
    if (held_ == kBufferSize) {
      held_ = 0;
      RETURN_IF_ERROR(WriteNow(buffer_.bytes()));
    }
  }
  return OkStatus();
}

Status FileSink::WriteNow(ByteSpan data) {
  RETURN_IF_ERROR(file_->WriteAt(offset_, data));
  offset_ += data.size();
  // Where the kernel could not be passed by, its cache is emptied as we go.
  if (kind_ != Kind::kScratch && offset_ - handed_to_disk_ >= kWritebackStep) {
    file_->StartWriteback(handed_to_disk_, offset_ - handed_to_disk_);
    handed_to_disk_ = offset_;
  }
  return OkStatus();
}

Status FileSink::Finish() {
  const std::size_t rest = held_;
  held_ = 0;
  if (rest > 0) RETURN_IF_ERROR(WriteNow(buffer_.bytes().first(rest)));
  return kind_ == Kind::kScratch ? OkStatus() : file_->Sync();
}

}  // namespace holdfast
