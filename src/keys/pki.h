// Certificates and keys of a cluster: its CAs, the leaves they sign, and when a leaf has to be made anew.
//
// What is made here is what K3s and RKE2 make (their tls directory can be taken over in both directions): EC P-256 keys
// in SEC1 PEM, CAs for ten years, leaves for one, renewed at a start when less than 120 days are left.
// Sources: K3s pkg/daemons/control/deps/deps.go, rancher/dynamiclistener cert/cert.go.
//
// Everything is PEM text in and out. Where a certificate is read, the first of the text counts and what follows (its
// chain) does not, unless said otherwise. Keys and serial numbers come from OpenSSL's generator. Pure functions: `now`
// is always an argument.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

inline constexpr absl::Duration kCaValidity = absl::Hours(10 * 365 * 24);
inline constexpr absl::Duration kLeafValidity = absl::Hours(365 * 24);
inline constexpr absl::Duration kRenewBefore = absl::Hours(120 * 24);

// A certificate, or a chain with the certificate first, and its private key without a passphrase.
struct KeyPair {
  std::string certificate_pem;
  Secret key_pem;
};

struct CaOptions {
  std::string common_name;  // "etcd-server-ca@<unix seconds>"
  absl::Time now;
  absl::Duration validity = kCaValidity;
};

// A new self-signed CA. It is valid from an hour before `now`, so that nodes with a slow clock can join at once.
StatusOr<KeyPair> MakeCa(const CaOptions& options);

struct LeafOptions {
  std::string common_name;
  std::string organization = {};       // empty: none
  std::vector<std::string> sans = {};  // DNS names and IP addresses, in any mixture
  bool server_auth = false;
  bool client_auth = false;
  absl::Time now;
  absl::Duration validity = kLeafValidity;
};

// A new key and a certificate for it, signed by `ca`, followed by the certificates of `ca`. Like the original it is
// valid from the moment that the CA is. kInvalidArgument: no PEM in `ca`, its key is another certificate's, or a name
// that cannot stand in a certificate.
StatusOr<KeyPair> MakeLeaf(const KeyPair& ca, const LeafOptions& options);

// A new RSA key of 2048 bits in PKCS#1 PEM: tls/service.key.
StatusOr<Secret> MakeRsaKey();

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> sans;  // DNS names and IP addresses, those in their shortest form: "::1"
  absl::Time not_before, not_after;
  bool is_ca = false;
};

// kInvalidArgument if there is no certificate.
StatusOr<CertificateInfo> Inspect(std::string_view certificate_pem);

// True if the key belongs to the certificate; false also if one of them cannot be read.
bool KeyMatches(const KeyPair& pair);

// True if the CA named and signed the certificate, at whatever time; false also if one of them cannot be read.
bool IssuedBy(std::string_view certificate_pem, std::string_view ca_pem);

// Why `leaf` does not serve as the one that MakeLeaf(ca, wanted) would make, in words for the log ("it lacks
// localhost"); empty if it does. More SANs than wanted are fine.
std::string RenewalReason(const KeyPair& leaf, std::string_view ca_pem, const LeafOptions& wanted);

// The hash of the cluster's CA that tokens carry (token.h), 64 hex digits: of one certificate the SHA-256 of the PEM
// text itself; of a bundle that of the DER form of the root that the first certificate leads to, so that tokens survive
// a new intermediate CA. If it leads to none in the bundle, that of the PEM text. kInvalidArgument if there is no
// certificate.
// Source: hashCA in K3s pkg/clientaccess/token.go (which also falls back to the text once a certificate of the bundle
// has expired).
StatusOr<std::string> CaHash(std::string_view bundle_pem);

}  // namespace holdfast
