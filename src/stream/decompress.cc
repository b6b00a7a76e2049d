#include "stream/decompress.h"

#include <array>

#include "stream/access_source.h"
#include "stream/zip_source.h"
#include "stream/zstd_source.h"

namespace holdfast {
namespace {

class PlainSource final : public DecompressedSource {
 public:
  PlainSource(const RandomAccess& file, std::uint64_t size) : bytes_(file), size_(size) {}

  Compression compression() const override { return Compression::kNone; }
  std::optional<std::uint64_t> size() const override { return size_; }

  StatusOr<std::size_t> Read(MutableByteSpan out) override { return bytes_.Read(out); }

 private:
  AccessSource bytes_;
  const std::uint64_t size_;
};

}  // namespace

StatusOr<std::unique_ptr<DecompressedSource>> OpenDecompressed(const RandomAccess& file) {
  std::array<std::uint8_t, 4> first_bytes;
  ASSIGN_OR_RETURN(const std::size_t n, file.ReadAt(0, first_bytes));
  switch (SniffCompression(ByteSpan(first_bytes).first(n))) {
    case Compression::kNone: {
      ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
      return std::make_unique<PlainSource>(file, size);
    }
    case Compression::kZip:
      return OpenZip(file);
    case Compression::kZstd:
      return OpenZstd(file);
  }
  return InternalError("{}: unknown compression", file.path());
}

}  // namespace holdfast
