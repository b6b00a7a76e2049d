#include "keys/pki.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/checksum.h"
#include "keys/openssl.h"

namespace holdfast {
namespace {

constexpr absl::Duration kClockSkewMax = absl::Hours(1);
constexpr std::size_t kRsaBits = 2048;
constexpr int kSerialBits = 127;             // positive in every encoding, and never the same twice
constexpr std::size_t kChainLengthMax = 16;  // bounds the signatures to check in a foreign bundle
constexpr char kKeyUsageOfCa[] = "critical,digitalSignature,keyEncipherment,keyCertSign";
constexpr char kKeyUsageOfLeaf[] = "critical,digitalSignature,keyEncipherment";

Status PkiError(std::string_view what) { return OpenSslError(StatusCode::kInternal, what); }

// --- parts of certificates ---

// The 4 or 16 bytes of an IP address, or nothing if the text is none.
std::optional<std::string> ParseIp(const std::string& text) {
  std::array<char, sizeof(in6_addr)> bytes;
  const auto parses = [&](int family) {
    return inet_pton(family, text.c_str(), bytes.data()) == 1;
  };
  if (parses(AF_INET)) return std::string(bytes.data(), sizeof(in_addr));
  if (parses(AF_INET6)) return std::string(bytes.data(), sizeof(in6_addr));
  return std::nullopt;
}

std::string FormatIp(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_v4 = bytes.size() == sizeof(in_addr);
  if (!is_v4 && bytes.size() != sizeof(in6_addr)) return HexOf(BytesOf(bytes));
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          CheckedCast<std::size_t>(ASN1_STRING_length(text))};
}

std::string CommonNameOf(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return index < 0 ? "" : TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

std::vector<std::string> SansOf(const X509* certificate) {
  const OpenSslOwned<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();  // an extension that cannot be read is none
  std::vector<std::string> sans;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) sans.push_back(TextOf(name->d.dNSName));
    if (name->type == GEN_IPADD) sans.push_back(FormatIp(TextOf(name->d.iPAddress)));
  }
  return sans;
}

StatusOr<absl::Time> TimeOf(const ASN1_TIME* time) {
  std::tm civil{};
  if (ASN1_TIME_to_tm(time, &civil) != 1) {
    return OpenSslError(StatusCode::kInvalidArgument, "read time of certificate");
  }
  return absl::FromTM(civil, absl::UTCTimeZone());
}

// --- making ---

Status SetRandomSerial(X509* certificate) {
  const OpenSslOwned<BIGNUM, BN_free> serial(BN_new());
  const bool ok = serial != nullptr &&
                  BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
  return ok ? OkStatus() : PkiError("set serial number");
}

Status AddName(X509_NAME* name, const char* field, const std::string& text) {
  if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, BytesOf(text).data(),
                                 CheckedCast<int>(text.size()), -1, 0) != 1) {
    return OpenSslError(StatusCode::kInvalidArgument, fmt::format("set {} to \"{}\"", field, text));
  }
  return OkStatus();
}

// `text` is one of our constants in the language of openssl.cnf.
Status AddExtension(X509* certificate, X509* issuer, int nid, const char* text) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const OpenSslOwned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, text));
  const bool ok = extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
  return ok ? OkStatus() : PkiError(fmt::format("add {}", OBJ_nid2sn(nid)));
}

Status AddSan(GENERAL_NAMES* names, const std::string& san) {
  const bool printable = std::ranges::all_of(san, [](char c) { return c > ' ' && c < 0x7f; });
  if (san.empty() || !printable) {
    return InvalidArgumentError("\"{}\" is not a host name or IP address", san);
  }
  const std::optional<std::string> ip = ParseIp(san);
  const std::string& bytes = ip ? *ip : san;

  OpenSslOwned<GENERAL_NAME, GENERAL_NAME_free> name(GENERAL_NAME_new());
  OpenSslOwned<ASN1_STRING, ASN1_STRING_free> value(
      ASN1_STRING_type_new(ip ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING));
  if (name == nullptr || value == nullptr ||
      ASN1_STRING_set(value.get(), bytes.data(), CheckedCast<int>(bytes.size())) != 1) {
    return PkiError("add subjectAltName");
  }
  GENERAL_NAME_set0_value(name.get(), ip ? GEN_IPADD : GEN_DNS, value.release());
  if (sk_GENERAL_NAME_push(names, name.get()) == 0) return PkiError("add subjectAltName");
  static_cast<void>(name.release());  // the stack has it now
  return OkStatus();
}

Status AddSans(X509* certificate, const std::vector<std::string>& sans) {
  if (sans.empty()) return OkStatus();
  const OpenSslOwned<GENERAL_NAMES, GENERAL_NAMES_free> names(GENERAL_NAMES_new());
  if (names == nullptr) return PkiError("add subjectAltName");
  for (auto san = sans.begin(); san != sans.end(); ++san) {
    if (std::find(sans.begin(), san, *san) == san) RETURN_IF_ERROR(AddSan(names.get(), *san));
  }
  const bool ok = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) == 1;
  return ok ? OkStatus() : PkiError("add subjectAltName");
}

bool SetTime(ASN1_TIME* field, absl::Time time) {
  return ASN1_TIME_set(field, absl::ToTimeT(time)) != nullptr;
}

struct Basics {
  std::string common_name, organization = {};
  absl::Time not_before, not_after;
};

// A certificate with everything but an issuer, extensions and signature.
StatusOr<OwnedCertificate> NewCertificate(EVP_PKEY* key, const Basics& basics) {
  OwnedCertificate certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetTime(X509_getm_notBefore(certificate.get()), basics.not_before) ||
      !SetTime(X509_getm_notAfter(certificate.get()), basics.not_after) ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return PkiError("make certificate");
  }
  RETURN_IF_ERROR(SetRandomSerial(certificate.get()));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  if (!basics.organization.empty()) RETURN_IF_ERROR(AddName(subject, "O", basics.organization));
  RETURN_IF_ERROR(AddName(subject, "CN", basics.common_name));
  return certificate;
}

Status AddLeafExtensions(X509* leaf, X509* issuer, const LeafOptions& options) {
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_key_usage, kKeyUsageOfLeaf));
  if (options.server_auth || options.client_auth) {
    const char* usage = !options.client_auth   ? "serverAuth"
                        : !options.server_auth ? "clientAuth"
                                               : "serverAuth,clientAuth";
    RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_ext_key_usage, usage));
  }
  if (X509_get0_subject_key_id(issuer) != nullptr) {  // a foreign CA may have none
    RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_authority_key_identifier, "keyid"));
  }
  return AddSans(leaf, options.sans);
}

Status Sign(X509* certificate, const X509* issuer, EVP_PKEY* issuer_key) {
  const bool ok = X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
                  X509_sign(certificate, issuer_key, EVP_sha256()) > 0;
  return ok ? OkStatus() : PkiError("sign certificate");
}

StatusOr<OwnedPrivateKey> NewEcKey() {
  OwnedPrivateKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (key == nullptr) return PkiError("make EC key");
  return key;
}

// --- who signed whom ---

bool Signed(X509* certificate, const X509* issuer) {
  const bool ok =
      X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(issuer)) == 0 &&
      X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  return ok;
}

// The same subject and key, whoever signed it: going from one to the other would be a circle.
bool SameAuthority(const X509* a, const X509* b) {
  return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
         EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

// hashCA's rule: a certificate that names no other key as its signer's.
bool IsRoot(X509* certificate) {
  const ASN1_OCTET_STRING* signer = X509_get0_authority_key_id(certificate);
  const ASN1_OCTET_STRING* own = X509_get0_subject_key_id(certificate);
  return signer == nullptr || (own != nullptr && ASN1_OCTET_STRING_cmp(signer, own) == 0);
}

// From the first certificate over the others to a root of the bundle, roots preferred; null if there is no way.
X509* RootOf(const std::vector<OwnedCertificate>& bundle) {
  X509* first = bundle.front().get();
  for (std::size_t i = 1; i < bundle.size(); ++i) {
    if (X509_cmp(first, bundle[i].get()) == 0 && IsRoot(first)) return first;
  }
  std::vector<X509*> chain = {first};
  while (chain.size() < kChainLengthMax) {
    X509* next = nullptr;
    for (std::size_t i = 1; i < bundle.size(); ++i) {
      X509* candidate = bundle[i].get();
      const bool seen =
          std::ranges::any_of(chain, [&](X509* link) { return SameAuthority(link, candidate); });
      if (seen || !Signed(chain.back(), candidate)) continue;
      if (IsRoot(candidate)) return candidate;
      if (next == nullptr) next = candidate;
    }
    if (next == nullptr) break;
    chain.push_back(next);
  }
  return nullptr;
}

}  // namespace

StatusOr<KeyPair> MakeCa(const CaOptions& options) {
  ASSIGN_OR_RETURN(const OwnedPrivateKey key, NewEcKey());
  ASSIGN_OR_RETURN(const OwnedCertificate certificate,
                   NewCertificate(key.get(), {.common_name = options.common_name,
                                              .not_before = options.now - kClockSkewMax,
                                              .not_after = options.now + options.validity}));
  X509* self = certificate.get();
  RETURN_IF_ERROR(AddExtension(self, self, NID_key_usage, kKeyUsageOfCa));
  RETURN_IF_ERROR(AddExtension(self, self, NID_basic_constraints, "critical,CA:TRUE"));
  RETURN_IF_ERROR(AddExtension(self, self, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(Sign(self, self, key.get()));

  KeyPair pair;
  ASSIGN_OR_RETURN(pair.certificate_pem, WriteCertificate(self));
  ASSIGN_OR_RETURN(pair.key_pem, WriteKey(key.get()));
  return pair;
}

StatusOr<KeyPair> MakeLeaf(const KeyPair& ca, const LeafOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<OwnedCertificate> issuers,
                   ReadCertificates(ca.certificate_pem), "CA");
  ASSIGN_OR_RETURN(const OwnedPrivateKey issuer_key, ReadKey(ca.key_pem), "CA");
  X509* issuer = issuers.front().get();
  if (!KeyMatches(ca)) {
    return InvalidArgumentError("CA \"{}\": the key is not the certificate's",
                                CommonNameOf(issuer));
  }
  ASSIGN_OR_RETURN(const absl::Time begin, TimeOf(X509_get0_notBefore(issuer)), "CA");

  ASSIGN_OR_RETURN(const OwnedPrivateKey key, NewEcKey());
  ASSIGN_OR_RETURN(const OwnedCertificate certificate,
                   NewCertificate(key.get(), {.common_name = options.common_name,
                                              .organization = options.organization,
                                              .not_before = begin,
                                              .not_after = options.now + options.validity}));
  X509* leaf = certificate.get();
  RETURN_IF_ERROR(AddLeafExtensions(leaf, issuer, options));
  RETURN_IF_ERROR(Sign(leaf, issuer, issuer_key.get()));

  KeyPair pair;
  ASSIGN_OR_RETURN(pair.certificate_pem, WriteCertificate(leaf));
  for (const OwnedCertificate& certificate_of_chain : issuers) {
    ASSIGN_OR_RETURN(const std::string pem, WriteCertificate(certificate_of_chain.get()));
    pair.certificate_pem += pem;
  }
  ASSIGN_OR_RETURN(pair.key_pem, WriteKey(key.get()));
  return pair;
}

StatusOr<Secret> MakeRsaKey() {
  const OwnedPrivateKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", kRsaBits));
  if (key == nullptr) return PkiError("make RSA key");
  return WriteKey(key.get());
}

StatusOr<CertificateInfo> Inspect(std::string_view certificate_pem) {
  ASSIGN_OR_RETURN(const OwnedCertificate certificate, ReadFirstCertificate(certificate_pem));
  CertificateInfo info;
  info.common_name = CommonNameOf(certificate.get());
  info.sans = SansOf(certificate.get());
  ASSIGN_OR_RETURN(info.not_before, TimeOf(X509_get0_notBefore(certificate.get())));
  ASSIGN_OR_RETURN(info.not_after, TimeOf(X509_get0_notAfter(certificate.get())));
  info.is_ca = X509_check_ca(certificate.get()) == 1;
  return info;
}

bool KeyMatches(const KeyPair& pair) {
  const auto certificate = ReadFirstCertificate(pair.certificate_pem);
  const auto key = ReadKey(pair.key_pem);
  if (!certificate.ok() || !key.ok()) return false;
  const bool matches = X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  return matches;
}

bool IssuedBy(std::string_view certificate_pem, std::string_view ca_pem) {
  const auto certificate = ReadFirstCertificate(certificate_pem);
  const auto ca = ReadFirstCertificate(ca_pem);
  return certificate.ok() && ca.ok() && Signed(certificate->get(), ca->get());
}

std::string RenewalReason(const KeyPair& leaf, std::string_view ca_pem, const LeafOptions& wanted) {
  const StatusOr<CertificateInfo> info = Inspect(leaf.certificate_pem);
  if (!info.ok()) return "it cannot be read";
  if (!KeyMatches(leaf)) return "its key is missing or another's";
  if (!IssuedBy(leaf.certificate_pem, ca_pem)) return "the CA is another now";
  if (info->common_name != wanted.common_name) {
    return fmt::format("it is for {}, not {}", info->common_name, wanted.common_name);
  }
  for (const std::string& san : wanted.sans) {
    const std::optional<std::string> ip = ParseIp(san);
    if (std::ranges::find(info->sans, ip ? FormatIp(*ip) : san) == info->sans.end()) {
      return fmt::format("it lacks {}", san);
    }
  }
  const absl::Duration left = info->not_after - wanted.now;
  if (left >= kRenewBefore) return "";
  const auto days = absl::ToInt64Hours(left) / 24;
  return left < absl::ZeroDuration() ? "it has expired"
                                     : fmt::format("it expires in {} days", days);
}

StatusOr<std::string> CaHash(std::string_view bundle_pem) {
  ASSIGN_OR_RETURN(const std::vector<OwnedCertificate> bundle, ReadCertificates(bundle_pem));
  X509* root = RootOf(bundle);
  if (root == nullptr) return HexOf(Sha256Of(BytesOf(bundle_pem)));
  Sha256Digest digest;
  if (X509_digest(root, EVP_sha256(), digest.data(), nullptr) != 1) return PkiError("hash CA");
  return HexOf(digest);
}

}  // namespace holdfast
