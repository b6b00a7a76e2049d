// Random access as a Source: from the first byte to the last.
#pragma once

#include "base/random_access.h"
#include "stream/stream.h"

namespace holdfast {

class AccessSource final : public Source {
 public:
  // `access` must outlive this.
  explicit AccessSource(const RandomAccess& access) : access_(access) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    ASSIGN_OR_RETURN(const std::size_t n, access_.ReadAt(offset_, out));
    offset_ += n;
    return n;
  }

 private:
  const RandomAccess& access_;
  std::uint64_t offset_ = 0;
};

}  // namespace holdfast
