#include "formats/bbolt/layout.h"

#include "base/checksum.h"
#include "base/endian.h"

namespace holdfast::bbolt {
namespace {
constexpr std::size_t kChecksummedBytes = 56;  // all of the meta before its checksum
}

PageHeader PageHeader::Load(const std::uint8_t* p) {
  return {.id = LoadLittle<std::uint64_t>(p),
          .flags = LoadLittle<std::uint16_t>(p + 8),
          .count = LoadLittle<std::uint16_t>(p + 10),
          .overflow = LoadLittle<std::uint32_t>(p + 12)};
}

void PageHeader::Store(std::uint8_t* p) const {
  StoreLittle(p, id);
  StoreLittle(p + 8, flags);
  StoreLittle(p + 10, count);
  StoreLittle(p + 12, overflow);
}

std::optional<Meta> Meta::Load(const std::uint8_t* p) {
  if (LoadLittle<std::uint32_t>(p) != kMagic || LoadLittle<std::uint32_t>(p + 4) != kVersion) {
    return std::nullopt;
  }
  if (LoadLittle<std::uint64_t>(p + kChecksummedBytes) != Fnv1a64({p, kChecksummedBytes})) {
    return std::nullopt;
  }
  return Meta{.page_size = LoadLittle<std::uint32_t>(p + 8),
              .root = LoadLittle<std::uint64_t>(p + 16),
              .root_sequence = LoadLittle<std::uint64_t>(p + 24),
              .freelist = LoadLittle<std::uint64_t>(p + 32),
              .high_water = LoadLittle<std::uint64_t>(p + 40),
              .txid = LoadLittle<std::uint64_t>(p + 48)};
}

void Meta::Store(std::uint8_t* p) const {
  StoreLittle(p, kMagic);
  StoreLittle(p + 4, kVersion);
  StoreLittle(p + 8, page_size);
  StoreLittle(p + 12, std::uint32_t{0});
  StoreLittle(p + 16, root);
  StoreLittle(p + 24, root_sequence);
  StoreLittle(p + 32, freelist);
  StoreLittle(p + 40, high_water);
  StoreLittle(p + 48, txid);
  StoreLittle(p + kChecksummedBytes, Fnv1a64({p, kChecksummedBytes}));
}

}  // namespace holdfast::bbolt
