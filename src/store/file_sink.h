// A File as a Sink: writes one after the other, and keeps the disk busy while data come, so that the sync at the end is short.
#pragma once

#include "os/file_system.h"
#include "stream/stream.h"

namespace holdfast {

class FileSink final : public Sink {
 public:
  enum class Kind { kDurable, kScratch };

  // `file` must outlive this.
  explicit FileSink(File& file, Kind kind = Kind::kDurable) : file_(&file), kind_(kind) {}

  Status Write(ByteSpan data) override;
  // Syncs the file, unless it is scratch.
  Status Finish() override { return kind_ == Kind::kDurable ? file_->Sync() : OkStatus(); }

  std::uint64_t bytes() const { return offset_; }

 private:
  File* file_;
  Kind kind_;
  std::uint64_t offset_ = 0, handed_to_disk_ = 0;
};

}  // namespace holdfast
