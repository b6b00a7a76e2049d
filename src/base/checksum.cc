#include "base/checksum.h"

#include <openssl/evp.h>

#include <isa-l/crc.h>

namespace holdfast {
namespace {

void Digest(const EVP_MD* algorithm, ByteSpan data, std::uint8_t* out) {
  CHECK(EVP_Digest(data.data(), data.size(), out, nullptr, algorithm, nullptr) == 1);
}

}  // namespace

std::uint32_t Crc32c(ByteSpan data, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  // ISA-L takes an int length and does no inversion of its own.
  constexpr std::size_t kPieceMax = 1u << 30;
  while (!data.empty()) {
    const std::size_t n = std::min(data.size(), kPieceMax);
    // The library's declaration lacks a const; it does not write.
    crc = crc32_iscsi(const_cast<unsigned char*>(data.data()), static_cast<int>(n), crc);
    data = data.subspan(n);
  }
  return ~crc;
}

std::uint64_t Fnv1a64(ByteSpan data) {
  std::uint64_t hash = 14695981039346656037u;
  for (std::uint8_t b : data) hash = (hash ^ b) * 1099511628211u;
  return hash;
}

Sha256Digest Sha256Of(ByteSpan data) {
  Sha256Digest out;
  Digest(EVP_sha256(), data, out.data());
  return out;
}

Sha1Digest Sha1Of(ByteSpan data) {
  Sha1Digest out;
  Digest(EVP_sha1(), data, out.data());
  return out;
}

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  CHECK(context_->evp != nullptr);
  CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::Update(ByteSpan data) {
  CHECK(EVP_DigestUpdate(context_->evp, data.data(), data.size()) == 1);
}

Sha256Digest Sha256::Finish() {
  Sha256Digest out;
  CHECK(EVP_DigestFinal_ex(context_->evp, out.data(), nullptr) == 1);
  return out;
}

}  // namespace holdfast
