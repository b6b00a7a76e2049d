// Any bytes as a compressed snapshot: opening and reading them must end in a status, within bounded memory.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "stream/decompress.h"
#include "stream/memory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const holdfast::StringAccess file{std::string(holdfast::TextOf({data, size}))};
  const auto source = holdfast::OpenDecompressed(file);
  if (!source.ok()) return 0;
  std::vector<std::uint8_t> block(64 * holdfast::kKiB);
  std::uint64_t read = 0;
  while (read < 16 * holdfast::kMiB) {
    const auto n = (*source)->Read(block);
    if (!n.ok() || *n == 0) break;
    read += *n;
  }
  return 0;
}
