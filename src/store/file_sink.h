// A File as a Sink: writes one after the other, and keeps the disk busy while data come, so that the sync at the end is
// short.
#pragma once

#include "base/aligned_buffer.h"
#include "os/file_system.h"
#include "stream/stream.h"

namespace holdfast {

class FileSink final : public Sink {
 public:
  enum class Kind {
    kDurable,  // read again soon: goes through the kernel's cache
    // Kept and not read soon: goes past the cache, which is full of better things (the pages of etcd), at a sixth of the
    // CPU time. Through a buffer of 1 MiB unless the data come in aligned blocks.
    kArchive,
    kScratch,  // never synced
  };

  // `file` must be empty and outlive this.
  FileSink(File& file, Kind kind);

  Status Write(ByteSpan data) override;
  // Syncs the file, unless it is scratch.
  Status Finish() override;

  std::uint64_t bytes() const { return offset_ + held_; }

 private:
  Status WriteNow(ByteSpan data);

  File* file_;
  Kind kind_;
  std::uint64_t offset_ = 0;          // written
  std::uint64_t handed_to_disk_ = 0;  // of that
  AlignedBuffer buffer_;              // kArchive: of what comes in odd sizes,
  std::size_t held_ = 0;              // this much, not yet written
};

}  // namespace holdfast
