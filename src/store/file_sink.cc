#include "store/file_sink.h"

namespace holdfast {
namespace {
constexpr std::uint64_t kWritebackStep = 8 * kMiB;
}

Status FileSink::Write(ByteSpan data) {
  RETURN_IF_ERROR(file_->WriteAt(offset_, data));
  offset_ += data.size();
  if (kind_ == Kind::kDurable && offset_ - handed_to_disk_ >= kWritebackStep) {
    file_->StartWriteback(handed_to_disk_, offset_ - handed_to_disk_);
    handed_to_disk_ = offset_;
  }
  return OkStatus();
}

}  // namespace holdfast
