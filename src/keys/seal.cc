#include "keys/seal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <array>
#include <optional>

#include "base/bytes.h"
#include "keys/base64.h"
#include "keys/openssl.h"

namespace holdfast {
namespace {

constexpr std::size_t kSaltBytes = 8;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr int kRounds = 4096;

unsigned char* RawBytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
int IntSize(std::string_view text) { return CheckedCast<int>(text.size()); }

// AES-256-GCM with the derived key, in one direction. The key is wiped when this ends.
class Cipher {
 public:
  Cipher() = default;
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  ~Cipher() { OPENSSL_cleanse(key_.data(), key_.size()); }

  Status Start(const Secret& password, std::string_view salt, std::string_view nonce,
               bool encrypt) {
    const bool ok = PKCS5_PBKDF2_HMAC(password.reveal().data(), IntSize(password.reveal()),
                                      BytesOf(salt).data(), IntSize(salt), kRounds, EVP_sha1(),
                                      kKeyBytes, key_.data()) == 1 &&
                    context_ != nullptr &&
                    EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key_.data(),
                                      BytesOf(nonce).data(), encrypt ? 1 : 0) == 1;
    return ok ? OkStatus() : OpenSslError(StatusCode::kInternal, "start AES-256-GCM");
  }

  // All of the text at once.
  StatusOr<std::string> Transform(std::string_view text) {
    std::string out(text.size(), '\0');
    int size = 0;
    if (EVP_CipherUpdate(context_.get(), RawBytes(out), &size, BytesOf(text).data(),
                         IntSize(text)) != 1) {
      return OpenSslError(StatusCode::kInternal, "AES-256-GCM");
    }
    CHECK(size == IntSize(text));
    return out;
  }

  // After encrypting.
  StatusOr<std::string> Tag() {
    std::string tag(kTagBytes, '\0');
    if (!Finish() ||
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) != 1) {
      return OpenSslError(StatusCode::kInternal, "finish AES-256-GCM");
    }
    return tag;
  }

  // After decrypting: whether `tag` belongs to what was decrypted.
  bool HasTag(std::string tag) {
    const bool ok =
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
        Finish();
    ERR_clear_error();
    return ok;
  }

 private:
  // GCM gives no bytes at the end.
  bool Finish() {
    std::array<unsigned char, EVP_MAX_BLOCK_LENGTH> none;
    int size = 0;
    return EVP_CipherFinal_ex(context_.get(), none.data(), &size) == 1;
  }

  OwnedCipherContext context_{EVP_CIPHER_CTX_new()};
  std::array<unsigned char, kKeyBytes> key_{};
};

}  // namespace

StatusOr<std::string> Seal(std::string_view plaintext, const Secret& password, Random& random) {
  if (plaintext.size() > kSealableSizeMax) {
    return ResourceExhaustedError("{} bytes to seal, more than {}", plaintext.size(),
                                  kSealableSizeMax);
  }
  const std::string salt = random.Hex(kSaltBytes);
  std::array<std::uint8_t, kNonceBytes> nonce;
  random.Fill(nonce);

  Cipher cipher;
  RETURN_IF_ERROR(cipher.Start(password, salt, TextOf(nonce), /*encrypt=*/true));
  ASSIGN_OR_RETURN(const std::string ciphertext, cipher.Transform(plaintext));
  ASSIGN_OR_RETURN(const std::string tag, cipher.Tag());
  return salt + ":" + Base64Encode(BytesOf(std::string(TextOf(nonce)) + ciphertext + tag));
}

StatusOr<std::string> OpenSealed(std::string_view value, const Secret& password) {
  if (value.size() > 2 * kSealableSizeMax) {
    return DataLossError("sealed value of {} bytes, more than {}", value.size(),
                         2 * kSealableSizeMax);
  }
  const auto colon = value.find(':');
  if (colon == std::string_view::npos) return DataLossError("invalid cipher text, not : delimited");
  const std::optional<std::string> raw = Base64Decode(value.substr(colon + 1));
  if (!raw) return DataLossError("invalid cipher text, not base64 after the colon");
  if (raw->size() < kNonceBytes + kTagBytes) {
    return DataLossError("invalid cipher text, {} bytes, fewer than {}", raw->size(),
                         kNonceBytes + kTagBytes);
  }
  const std::string_view bytes = *raw;

  Cipher cipher;
  RETURN_IF_ERROR(cipher.Start(password, value.substr(0, colon), bytes.substr(0, kNonceBytes),
                               /*encrypt=*/false));
  ASSIGN_OR_RETURN(
      std::string plaintext,
      cipher.Transform(bytes.substr(kNonceBytes, bytes.size() - kNonceBytes - kTagBytes)));
  if (!cipher.HasTag(std::string(bytes.substr(bytes.size() - kTagBytes)))) {
    return WithHint(
        UnauthenticatedError("message authentication failed: sealed with a different token"),
        "A snapshot stays sealed with the token of its time; give that one with --token.");
  }
  return plaintext;
}

}  // namespace holdfast
