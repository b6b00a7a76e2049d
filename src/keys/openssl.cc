#include "keys/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/bytes.h"

namespace holdfast {
namespace {

constexpr std::size_t kPemSizeMax = 256 * kKiB;  // some 300 certificates

// A BIO that reads `text`, which must outlive it; null if the text is too long to be PEM of ours.
OwnedBio ReadFrom(std::string_view text) {
  if (text.size() > kPemSizeMax) return nullptr;
  return OwnedBio(BIO_new_mem_buf(text.data(), CheckedCast<int>(text.size())));
}

// What was written to a memory BIO.
std::string_view WrittenTo(const OwnedBio& bio) {
  char* data = nullptr;
  const long size = BIO_ctrl(bio.get(), BIO_CTRL_INFO, 0, &data);
  return {data, CheckedCast<std::size_t>(size)};
}

}  // namespace

Status OpenSslError(StatusCode code, std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return MakeStatus(code,
                    fmt::format("{}: {}", what, reason != nullptr ? reason : "unknown reason"));
}

StatusOr<std::vector<OwnedCertificate>> ReadCertificates(std::string_view pem) {
  const OwnedBio bio = ReadFrom(pem);
  if (bio == nullptr) {
    return InvalidArgumentError("read certificate: {} bytes are too many", pem.size());
  }
  std::vector<OwnedCertificate> certificates;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end || certificates.empty()) {
    return OpenSslError(StatusCode::kInvalidArgument, "read certificate");
  }
  ERR_clear_error();
  return certificates;
}

StatusOr<OwnedCertificate> ReadFirstCertificate(std::string_view pem) {
  ASSIGN_OR_RETURN(auto all, ReadCertificates(pem));
  return std::move(all.front());
}

StatusOr<OwnedPrivateKey> ReadKey(const Secret& pem) {
  // Without a callback OpenSSL would ask at the terminal for the passphrase of an encrypted key.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  ERR_clear_error();
  const OwnedBio bio = ReadFrom(pem.reveal());
  if (bio == nullptr) return InvalidArgumentError("read private key: too many bytes");
  OwnedPrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) return OpenSslError(StatusCode::kInvalidArgument, "read private key");
  return key;
}

StatusOr<std::string> WriteCertificate(X509* certificate) {
  const OwnedBio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return OpenSslError(StatusCode::kInternal, "write certificate");
  }
  return std::string(WrittenTo(bio));
}

StatusOr<Secret> WriteKey(EVP_PKEY* key) {
  const OwnedBio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_PrivateKey_traditional(bio.get(), key, nullptr, nullptr, 0,
                                                             nullptr, nullptr) != 1) {
    return OpenSslError(StatusCode::kInternal, "write private key");
  }
  const std::string_view written = WrittenTo(bio);
  Secret secret{std::string(written)};
  OPENSSL_cleanse(const_cast<char*>(written.data()), written.size());  // the BIO's own buffer
  return secret;
}

}  // namespace holdfast
