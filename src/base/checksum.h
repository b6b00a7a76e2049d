// The checksums of etcd's files: CRC-32C (WAL, .snap, status hash), FNV-1a (bbolt metas), SHA-256 (snapshot trailer),
// SHA-1 (ids).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace holdfast {

// CRC-32C (Castagnoli) with the usual inversion before and after: Crc32c("123456789") == 0xe3069283.
// `seed` chains: Crc32c(b, Crc32c(a)) == Crc32c(a + b).
std::uint32_t Crc32c(ByteSpan data, std::uint32_t seed = 0);

// FNV-1a, 64 bits.
std::uint64_t Fnv1a64(ByteSpan data);

using Sha256Digest = std::array<std::uint8_t, 32>;
using Sha1Digest = std::array<std::uint8_t, 20>;

Sha256Digest Sha256Of(ByteSpan data);
Sha1Digest Sha1Of(ByteSpan data);

// A running SHA-256. Finish() may be called once.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void Update(ByteSpan data);
  Sha256Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace holdfast
