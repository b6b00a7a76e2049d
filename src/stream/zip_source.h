// The one entry of a zip as a stream, by libarchive. Behind OpenDecompressed().
#pragma once

#include <memory>

#include "stream/decompress.h"

namespace holdfast {

// Checks the layout (see zip_directory.h) before it returns. `file` must outlive the result. Errors as OpenDecompressed().
StatusOr<std::unique_ptr<DecompressedSource>> OpenZip(const RandomAccess& file);

}  // namespace holdfast
