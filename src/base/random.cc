#include "base/random.h"

#include <openssl/rand.h>

#include <array>
#include <vector>

#include "base/endian.h"

namespace holdfast {
namespace {

class OpenSslRandom final : public Random {
 public:
  void Fill(MutableByteSpan out) override {
    CHECK(RAND_bytes(out.data(), CheckedCast<int>(out.size())) == 1);
  }
};

}  // namespace

std::uint64_t Random::Below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Reject the uneven tail, so that every result is equally likely.
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % bound);
  std::array<std::uint8_t, 8> raw;
  std::uint64_t value;
  do {
    Fill(raw);
    value = LoadLittle<std::uint64_t>(raw.data());
  } while (value >= limit);
  return value % bound;
}

std::string Random::Hex(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  Fill(raw);
  return HexOf(raw);
}

Random& SystemRandom() {
  static OpenSslRandom random;
  return random;
}

}  // namespace holdfast
