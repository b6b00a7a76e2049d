// zstd frames as one stream. Behind OpenDecompressed().
#pragma once

#include <memory>

#include "stream/decompress.h"

namespace holdfast {

// The most memory that a file may ask for, as `zstd` itself without --long and --memory.
inline constexpr std::uint64_t kZstdWindowMax = 128 * kMiB;

// `file` must outlive the result. Errors as OpenDecompressed().
StatusOr<std::unique_ptr<DecompressedSource>> OpenZstd(const RandomAccess& file);

}  // namespace holdfast
