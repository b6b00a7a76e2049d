// The two ends of every stream. A Source is pulled, a Sink is pushed; filters are Sinks that write to another Sink, or
// Sources that read from another Source. Each is used by one thread at a time.
#pragma once

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast {

class Source {
 public:
  virtual ~Source() = default;

  // Fills part or all of `out` (not empty) and returns how much; 0 means the end. After an error no more calls.
  virtual StatusOr<std::size_t> Read(MutableByteSpan out) = 0;
};

class Sink {
 public:
  virtual ~Sink() = default;

  // Takes all of `data`, or fails; after an error no more calls.
  virtual Status Write(ByteSpan data) = 0;

  // The last call: flushes what is held back and says whether the whole stream is good. A filter finishes the Sink behind
  // it. A stream that was not finished counts as broken off.
  virtual Status Finish() = 0;
};

}  // namespace holdfast
