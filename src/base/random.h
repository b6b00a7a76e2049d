// The door to chance: names, salts, keys and jitter. The real one asks OpenSSL; tests seed their own.
#pragma once

#include "base/bytes.h"

namespace holdfast {

class Random {
 public:
  virtual ~Random() = default;

  // Fills `out` with bytes nobody can guess.
  virtual void Fill(MutableByteSpan out) = 0;

  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound);

  // `bytes` random bytes as lower-case hex.
  std::string Hex(std::size_t bytes);
};

// The operating system's generator, through OpenSSL. Lives as long as the program.
Random& SystemRandom();

}  // namespace holdfast
