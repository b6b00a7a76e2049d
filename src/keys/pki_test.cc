#include "keys/pki.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "keys/openssl.h"

namespace holdfast {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

KeyPair Ca() { return MakeCa({.common_name = "etcd-server-ca@1750000000", .now = kNow}).value(); }

LeafOptions ServerOptions() {
  return {
      .common_name = "etcd-server",
      .sans = {"kine.sock", "127.0.0.1", "localhost", "0:0::1", "node-1", "localhost", "10.0.0.7"},
      .server_auth = true,
      .client_auth = true,
      .now = kNow};
}

LeafOptions ClientOptions() {
  return {.common_name = "etcd-client", .client_auth = true, .now = kNow};
}

// What OpenSSL, at its strictest, says of the first certificate of `pem` when only `ca_pem` is trusted.
int VerifyResult(std::string_view pem, std::string_view ca_pem, absl::Time when, int purpose) {
  const OwnedCertificate leaf = ReadFirstCertificate(pem).value();
  const OwnedCertificate ca = ReadFirstCertificate(ca_pem).value();
  const OpenSslOwned<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), ca.get());
  const OpenSslOwned<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT);
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(when));
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

TEST(Pki, CaLooksAsTheOriginalMakesIt) {
  const KeyPair ca = Ca();
  EXPECT_TRUE(ca.key_pem.reveal().starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
  EXPECT_TRUE(KeyMatches(ca));
  EXPECT_TRUE(IssuedBy(ca.certificate_pem, ca.certificate_pem));

  const auto info = Inspect(ca.certificate_pem);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->common_name, "etcd-server-ca@1750000000");
  EXPECT_TRUE(info->is_ca);
  EXPECT_EQ(info->not_before, kNow - absl::Hours(1));
  EXPECT_EQ(info->not_after, kNow + kCaValidity);

  const OwnedCertificate certificate = ReadFirstCertificate(ca.certificate_pem).value();
  EXPECT_EQ(X509_get_key_usage(certificate.get()),
            unsigned{KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_CERT_SIGN});
  EXPECT_NE(X509_get0_subject_key_id(certificate.get()), nullptr);
  EXPECT_EQ(X509_get0_authority_key_id(certificate.get()), nullptr);
  EXPECT_EQ(ASN1_STRING_type(X509_get0_serialNumber(certificate.get())),
            V_ASN1_INTEGER);  // not negative
}

TEST(Pki, LeafIsFollowedByItsCaAndVerifiesForItsPurposes) {
  const KeyPair ca = Ca();
  const auto leaf = MakeLeaf(ca, ServerOptions());
  ASSERT_TRUE(leaf.ok()) << leaf.status();
  EXPECT_TRUE(leaf->certificate_pem.ends_with(ca.certificate_pem));
  EXPECT_TRUE(KeyMatches(*leaf));

  const auto info = Inspect(leaf->certificate_pem);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->common_name, "etcd-server");
  EXPECT_FALSE(info->is_ca);
  EXPECT_EQ(info->not_before, kNow - absl::Hours(1));
  EXPECT_EQ(info->not_after, kNow + kLeafValidity);
  EXPECT_EQ(info->sans, (std::vector<std::string>{"kine.sock", "127.0.0.1", "localhost", "::1",
                                                  "node-1", "10.0.0.7"}));

  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    EXPECT_EQ(VerifyResult(leaf->certificate_pem, ca.certificate_pem, kNow, purpose), X509_V_OK);
  }
}

TEST(Pki, ClientLeafIsNoServer) {
  const KeyPair ca = Ca();
  const std::string leaf = MakeLeaf(ca, ClientOptions())->certificate_pem;
  EXPECT_EQ(VerifyResult(leaf, ca.certificate_pem, kNow, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
  EXPECT_EQ(VerifyResult(leaf, ca.certificate_pem, kNow, X509_PURPOSE_SSL_SERVER),
            X509_V_ERR_INVALID_PURPOSE);
}

TEST(Pki, LeafIsValidFromTheCasBeginToItsOwnEnd) {
  const KeyPair ca = Ca();
  LeafOptions options = ServerOptions();
  options.now = kNow + absl::Hours(1000);
  const std::string leaf = MakeLeaf(ca, options)->certificate_pem;
  const auto result = [&](absl::Time when) {
    return VerifyResult(leaf, ca.certificate_pem, when, X509_PURPOSE_SSL_SERVER);
  };
  EXPECT_EQ(result(kNow - absl::Minutes(59)), X509_V_OK);
  EXPECT_EQ(result(kNow - absl::Minutes(61)), X509_V_ERR_CERT_NOT_YET_VALID);
  EXPECT_EQ(result(options.now + kLeafValidity - absl::Seconds(1)), X509_V_OK);
  EXPECT_EQ(result(options.now + kLeafValidity + absl::Seconds(1)), X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST(Pki, AnotherCaOfTheSameNameIsNotTheIssuer) {
  const KeyPair ca = Ca();
  const KeyPair other = Ca();
  const KeyPair leaf = MakeLeaf(ca, ServerOptions()).value();
  EXPECT_TRUE(IssuedBy(leaf.certificate_pem, ca.certificate_pem));
  EXPECT_FALSE(IssuedBy(leaf.certificate_pem, other.certificate_pem));
  EXPECT_FALSE(IssuedBy(ca.certificate_pem, leaf.certificate_pem));
  EXPECT_FALSE(IssuedBy(leaf.certificate_pem, "no certificate"));
  EXPECT_NE(
      VerifyResult(leaf.certificate_pem, other.certificate_pem, kNow, X509_PURPOSE_SSL_SERVER),
      X509_V_OK);
}

TEST(Pki, KeyOfAnotherCertificateDoesNotMatch) {
  const KeyPair ca = Ca();
  KeyPair leaf = MakeLeaf(ca, ServerOptions()).value();
  leaf.key_pem = ca.key_pem;
  EXPECT_FALSE(KeyMatches(leaf));
  leaf.key_pem = Secret("no key");
  EXPECT_FALSE(KeyMatches(leaf));
}

TEST(Pki, CaWithAnothersKeySignsNothing) {
  KeyPair ca = Ca();
  ca.key_pem = Ca().key_pem;
  const Status status = MakeLeaf(ca, ServerOptions()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(status),
            "CA \"etcd-server-ca@1750000000\": the key is not the certificate's");
}

TEST(Pki, UnreadablePemIsNamedAndLeavesNoErrorBehind) {
  const KeyPair ca = Ca();
  for (const std::string& bad : {std::string(), std::string("x"), ca.certificate_pem.substr(0, 200),
                                 ca.certificate_pem + ca.certificate_pem.substr(0, 200)}) {
    const Status status = Inspect(bad).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_TRUE(MessageOf(status).starts_with("read certificate: ")) << status;
    EXPECT_FALSE(CaHash(bad).ok());
  }
  EXPECT_EQ(MessageOf(MakeLeaf({ca.certificate_pem, Secret("x")}, ServerOptions()).status()),
            "CA: read private key: unsupported");
  EXPECT_EQ(MessageOf(Inspect(std::string(2 << 20, 'a')).status()),
            "read certificate: 2097152 bytes are too many");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Pki, NamesThatCannotStandInACertificateAreRefused) {
  const KeyPair ca = Ca();
  for (const char* san : {"", "two words", "a\nb",
                          "b\xC3\xBC"
                          "cher"}) {
    LeafOptions options = ServerOptions();
    options.sans = {san};
    EXPECT_EQ(MakeLeaf(ca, options).status().code(), StatusCode::kInvalidArgument) << san;
  }
  EXPECT_EQ(MakeCa({.common_name = "", .now = kNow}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeCa({.common_name = std::string(65, 'x'), .now = kNow}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(Pki, RsaKeyIsPkcs1Of2048Bits) {
  const auto key = MakeRsaKey();
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_TRUE(key->reveal().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
  EXPECT_EQ(EVP_PKEY_get_bits(ReadKey(*key).value().get()), 2048);
}

// openssl req -x509 -subj /O=somebody -addext subjectAltName=email:a@b.c,IP:fe80::1,DNS:*.a.b,IP:1.2.3.4
constexpr char kForeign[] = R"(-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUFu4XCNXGkfIC9DsIS5ieCReIkG4wCgYIKoZIzj0EAwIw
EzERMA8GA1UECgwIc29tZWJvZHkwIBcNMjYxMTIyMjEwNjU2WhgPMjEyNjEwMjky
MTA2NTZaMBMxETAPBgNVBAoMCHNvbWVib2R5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEqTBlZpw/pZZp/AlZG6nBAbgXV1cZ65CzTWUwU3oEhAC9jAkqp/EK8oFU
LrcsAhMf+b0SsIYZnBdeJkYHVb4DwqNdMFswLwYDVR0RBCgwJoEFYUBiLmOHEP6A
AAAAAAAAAAAAAAAAAAGCBSouYS5ihwQBAgMEMAkGA1UdEwQCMAAwHQYDVR0OBBYE
FMJ0LcTNZWdUtrqb/7Wza1gTQd0xMAoGCCqGSM49BAMCA0gAMEUCIDSslQoLf4eb
EAkoKiWw6IQXU6m1WyDyzs+QvQGb1kS4AiEA5DI7kZ0NPpS2vLxwLzEWg/Ere4km
ugM3p/6AGc5zSNA=
-----END CERTIFICATE-----
)";

TEST(Pki, CertificatesOfOtherProgramsAreRead) {
  const auto info = Inspect("subject=O = somebody\n" + Ca().key_pem.reveal() + kForeign);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->common_name, "");
  EXPECT_EQ(info->sans, (std::vector<std::string>{"fe80::1", "*.a.b", "1.2.3.4"}));
  EXPECT_FALSE(info->is_ca);
}

// --- renewal ---

TEST(Renewal, FreshLeafServes) {
  const KeyPair ca = Ca();
  const KeyPair leaf = MakeLeaf(ca, ServerOptions()).value();
  LeafOptions wanted = ServerOptions();
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "");
  wanted.sans = {"node-1", "::1"};
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "");
}

TEST(Renewal, BeginsWith120DaysLeft) {
  const KeyPair ca = Ca();
  const KeyPair leaf = MakeLeaf(ca, ServerOptions()).value();
  LeafOptions wanted = ServerOptions();
  wanted.now = kNow + kLeafValidity - kRenewBefore;
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "");
  wanted.now += absl::Seconds(1);
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "it expires in 119 days");
  wanted.now = kNow + kLeafValidity + absl::Seconds(1);
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "it has expired");
}

TEST(Renewal, ChangesAreNamed) {
  const KeyPair ca = Ca();
  const KeyPair leaf = MakeLeaf(ca, ServerOptions()).value();
  LeafOptions wanted = ServerOptions();
  wanted.sans.push_back("10.0.0.8");
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted), "it lacks 10.0.0.8");
  wanted = ServerOptions();
  wanted.common_name = "etcd-peer";
  EXPECT_EQ(RenewalReason(leaf, ca.certificate_pem, wanted),
            "it is for etcd-server, not etcd-peer");
  wanted = ServerOptions();
  EXPECT_EQ(RenewalReason(leaf, Ca().certificate_pem, wanted), "the CA is another now");
  EXPECT_EQ(RenewalReason({leaf.certificate_pem, ca.key_pem}, ca.certificate_pem, wanted),
            "its key is missing or another's");
  EXPECT_EQ(RenewalReason({"", leaf.key_pem}, ca.certificate_pem, wanted), "it cannot be read");
}

// --- a handshake ---

struct TlsEnd {
  OpenSslOwned<SSL_CTX, SSL_CTX_free> context;
  OpenSslOwned<SSL, SSL_free> ssl;
};

TlsEnd MakeTlsEnd(const SSL_METHOD* method, const KeyPair& pair, std::string_view ca_pem) {
  TlsEnd end;
  end.context.reset(SSL_CTX_new(method));
  SSL_CTX* context = end.context.get();
  SSL_CTX_use_certificate(context, ReadFirstCertificate(pair.certificate_pem).value().get());
  SSL_CTX_use_PrivateKey(context, ReadKey(pair.key_pem).value().get());
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ReadFirstCertificate(ca_pem).value().get());
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context), absl::ToTimeT(kNow));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  end.ssl.reset(SSL_new(context));
  return end;
}

// Whether client and server accept each other, over two pipes in memory.
bool Handshake(const TlsEnd& client, const TlsEnd& server) {
  BIO *client_pipe = nullptr, *server_pipe = nullptr;
  BIO_new_bio_pair(&client_pipe, 0, &server_pipe, 0);
  SSL_set_bio(client.ssl.get(), client_pipe, client_pipe);
  SSL_set_bio(server.ssl.get(), server_pipe, server_pipe);
  SSL_set_connect_state(client.ssl.get());
  SSL_set_accept_state(server.ssl.get());
  for (int round = 0; round < 10; ++round) {
    SSL_do_handshake(client.ssl.get());
    SSL_do_handshake(server.ssl.get());
  }
  ERR_clear_error();
  return SSL_is_init_finished(client.ssl.get()) == 1 && SSL_is_init_finished(server.ssl.get()) == 1;
}

TEST(Pki, ServerAndClientLeafShakeHandsOverNameAndAddress) {
  const KeyPair ca = Ca();
  const KeyPair server_leaf = MakeLeaf(ca, ServerOptions()).value();
  const KeyPair client_leaf = MakeLeaf(ca, ClientOptions()).value();
  const auto accepted = [&](const char* host, const KeyPair& client_pair) {
    const TlsEnd client = MakeTlsEnd(TLS_client_method(), client_pair, ca.certificate_pem);
    const TlsEnd server = MakeTlsEnd(TLS_server_method(), server_leaf, ca.certificate_pem);
    X509_VERIFY_PARAM* check = SSL_get0_param(client.ssl.get());
    const bool is_ip = X509_VERIFY_PARAM_set1_ip_asc(check, host) == 1;
    if (!is_ip) X509_VERIFY_PARAM_set1_host(check, host, 0);
    return Handshake(client, server);
  };
  for (const char* host : {"localhost", "node-1", "127.0.0.1", "::1", "10.0.0.7"}) {
    EXPECT_TRUE(accepted(host, client_leaf)) << host;
  }
  for (const char* host : {"node-2", "10.0.0.8", "etcd-server"})
    EXPECT_FALSE(accepted(host, client_leaf)) << host;

  const KeyPair stranger = MakeLeaf(Ca(), ClientOptions()).value();
  EXPECT_FALSE(accepted("localhost", stranger));
}

}  // namespace
}  // namespace holdfast
