// Bytes that can be read anywhere: a file, or a test's string. The decoders (bbolt, zip) read through this, without I/O of
// their own.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast {

// ReadAt may be called from several threads.
class RandomAccess {
 public:
  virtual ~RandomAccess() = default;

  // For messages: a path, or what stands for it.
  virtual const std::string& path() const = 0;

  // Reads up to out.size() bytes at `offset`; fewer only at the end.
  virtual StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const = 0;

  virtual StatusOr<std::uint64_t> Size() const = 0;

  // Whether reading here and there is slow, as over a network: then it is better read once, from end to end, and looked
  // at in the copy.
  virtual bool IsFar() const { return false; }
};

}  // namespace holdfast
