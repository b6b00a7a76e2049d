// A File as a Sink: writes one after the other, and keeps the disk busy while data come, so that the sync at the end is short.
#pragma once

#include "os/file_system.h"
#include "stream/stream.h"

namespace holdfast {

class FileSink final : public Sink {
 public:
  // `file` must outlive this.
  explicit FileSink(File& file) : file_(&file) {}

  Status Write(ByteSpan data) override;
  // Syncs the file.
  Status Finish() override { return file_->Sync(); }

  std::uint64_t bytes() const { return offset_; }

 private:
  File* file_;
  std::uint64_t offset_ = 0, handed_to_disk_ = 0;
};

}  // namespace holdfast
