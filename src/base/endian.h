// Loads and stores of integers at any address. bbolt and the etcd WAL are little-endian, etcd's revisions big-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace holdfast {

static_assert(std::endian::native == std::endian::little,
              "bbolt writes native order; this program reads and writes the little-endian form");

template <std::unsigned_integral T>
T LoadLittle(const std::uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <std::unsigned_integral T>
void StoreLittle(std::uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

inline std::uint64_t LoadBig64(const std::uint8_t* p) {
  return __builtin_bswap64(LoadLittle<std::uint64_t>(p));
}

inline void StoreBig64(std::uint8_t* p, std::uint64_t v) { StoreLittle(p, __builtin_bswap64(v)); }

}  // namespace holdfast
