// Memory for bytes on their way to or from a disk, aligned so that the kernel can move them without a copy of its own.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace holdfast {

// What disks, file systems and the page cache count in.
inline constexpr std::size_t kAlignment = 4096;

// Uninitialised.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : pages_(std::make_unique_for_overwrite<Page[]>((size + kAlignment - 1) / kAlignment)),
        size_(size) {}

  MutableByteSpan bytes() { return {pages_ ? pages_[0].bytes : nullptr, size_}; }
  bool empty() const { return size_ == 0; }

 private:
  struct alignas(kAlignment) Page {
    std::uint8_t bytes[kAlignment];
  };
  std::unique_ptr<Page[]> pages_;
  std::size_t size_ = 0;
};

}  // namespace holdfast
