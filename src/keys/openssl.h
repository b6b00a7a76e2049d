// OpenSSL objects that free themselves, its error queue as a Status, and PEM. For the .cc files of this room only.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

template <auto Free>
struct OpenSslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using OpenSslOwned = std::unique_ptr<T, OpenSslFree<Free>>;

using OwnedBio = OpenSslOwned<BIO, BIO_free_all>;
using OwnedCertificate = OpenSslOwned<X509, X509_free>;
using OwnedCipherContext = OpenSslOwned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using OwnedPrivateKey = OpenSslOwned<EVP_PKEY, EVP_PKEY_free>;

// `what` with the reason that OpenSSL put first into this thread's error queue; the queue is empty afterwards. Only the
// library's fixed texts are taken, never data, so no secret gets in.
Status OpenSslError(StatusCode code, std::string_view what);

// All certificates of a text, at least one; other PEM blocks between them do not count. kInvalidArgument.
StatusOr<std::vector<OwnedCertificate>> ReadCertificates(std::string_view pem);
StatusOr<OwnedCertificate> ReadFirstCertificate(std::string_view pem);

// The first private key of a text, in any of PEM's forms but without a passphrase. kInvalidArgument.
StatusOr<OwnedPrivateKey> ReadKey(const Secret& pem);

StatusOr<std::string> WriteCertificate(X509* certificate);

// "EC PRIVATE KEY" (SEC1) or "RSA PRIVATE KEY" (PKCS#1), as Go programs write them.
StatusOr<Secret> WriteKey(EVP_PKEY* key);

}  // namespace holdfast
