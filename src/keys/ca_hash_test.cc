// The hash of a CA bundle against the values that Go's crypto/x509 led to: hashCA of K3s pkg/clientaccess/token.go,
// compiled with Go 1.19 and run on these bundles. The certificates were made with openssl 3.0 and are valid until 2126.
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "keys/pki.h"

namespace holdfast {
namespace {

// CN=root, signed by itself
const std::string kRoot = R"(-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIUJT4rMmN2Ws64TOPw0gVBWSNnYjYwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEcm9vdDAgFw0yNjExMjIyMTA1NDdaGA8yMTI2MTAyOTIxMDU0
N1owDzENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABA00
sFzxO9wwOkiZXNXyTSkvRp+rO6/tk7oyxVbPiDuBGnyZ8nzWYl4eUEUH39/OV1Ce
fBPI/W1AOdp0ohh7egyjYzBhMB0GA1UdDgQWBBQzpAlsRVO2HRNo4BiTuecmalQp
MzAfBgNVHSMEGDAWgBQzpAlsRVO2HRNo4BiTuecmalQpMzAPBgNVHRMBAf8EBTAD
AQH/MA4GA1UdDwEB/wQEAwICpDAKBggqhkjOPQQDAgNIADBFAiEArOMtdkAbm7sX
vkLEUuGa/sWu+KcyRWIi7N7R3uE253sCIDPgOFOHowheKoo4oSMTnG7nNMhgGkQq
qd1suIXx9gB9
-----END CERTIFICATE-----
)";

// CN=inter, signed by root
const std::string kIntermediate = R"(-----BEGIN CERTIFICATE-----
MIIBdTCCARqgAwIBAgICAKswCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcm9vdDAg
Fw0yNjExMjIyMTA1NDdaGA8yMTI2MTAyOTIxMDU0N1owEDEOMAwGA1UEAwwFaW50
ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARt2dCENXzIUOWHHwvzFywagrLi
+7rfjcgCRTArZx8RzMCGSwx1yqhBjnKN7ZGssMQpB9m17Y4d11dh8GeW2Kelo2Mw
YTAdBgNVHQ4EFgQUQH0F+2yUITbejad+JbHJrK3hLWcwHwYDVR0jBBgwFoAUM6QJ
bEVTth0TaOAYk7nnJmpUKTMwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMC
AqQwCgYIKoZIzj0EAwIDSQAwRgIhAMGLsOTO9WspR2erRRK5ftdNteVqbkcatFWx
X/KtaQGqAiEA17mGsjqYzjbHvFzh58WLkiB7/iSi2zDP43kaWIVIlj4=
-----END CERTIFICATE-----
)";

// CN=ca, signed by inter
const std::string kCa = R"(-----BEGIN CERTIFICATE-----
MIIBczCCARigAwIBAgICT7MwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFaW50ZXIw
IBcNMjYxMTIyMjEwNTQ3WhgPMjEyNjEwMjkyMTA1NDdaMA0xCzAJBgNVBAMMAmNh
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYSh0abkbx1ODSdtetnOYyJOEeSVG
Lc4IB5cjLWvCwff6am1m1YWV3SF/LS5hqnDuO9ZCDR7k2SU8gbTxZYCO36NjMGEw
HQYDVR0OBBYEFNF6OOpiZcZY66RlprzDikYs7FoCMB8GA1UdIwQYMBaAFEB9Bfts
lCE23o2nfiWxyayt4S1nMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgKk
MAoGCCqGSM49BAMCA0kAMEYCIQC+D/rI7nMlc+OK7FqeG/3X2Le82brchhGkLXaD
/BwUagIhAKL4DMN7tNIqzhncNskC9XHuBMxlhxyoWdmSZRKs2fJH
-----END CERTIFICATE-----
)";

// CN=oldroot, signed by itself
const std::string kOldRoot = R"(-----BEGIN CERTIFICATE-----
MIIBijCCATGgAwIBAgIUaakUAv7VpJg4N3U2oH9ag2n10GcwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHb2xkcm9vdDAgFw0yNjExMjIyMTA1NDdaGA8yMTI2MTAyOTIx
MDU0N1owEjEQMA4GA1UEAwwHb2xkcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABDZXuJAMbjsae7/3jUOtBREP420QcWlDezPpsCVQZC4cNO7pJsL7WRacYmUR
lR/ppNc6vp17qyGwymTRdCz58WOjYzBhMB0GA1UdDgQWBBTSxyeqNagRoa6JZEiv
OAx06BztaTAfBgNVHSMEGDAWgBTSxyeqNagRoa6JZEivOAx06BztaTAPBgNVHRMB
Af8EBTADAQH/MA4GA1UdDwEB/wQEAwICpDAKBggqhkjOPQQDAgNHADBEAiAVUA+e
FT8F6UeuZymoux3NqEmQiG5TDWRf4C79H017qQIgIZxg2RMVp/OWUhp62N4Xythc
U+g0Ute0Gbkb5oGr3DY=
-----END CERTIFICATE-----
)";

// CN=root with the key of kRoot, signed by oldroot
const std::string kCrossSignedRoot = R"(-----BEGIN CERTIFICATE-----
MIIBdzCCARygAwIBAgICIk0wCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHb2xkcm9v
dDAgFw0yNjExMjIyMTA1NDdaGA8yMTI2MTAyOTIxMDU0N1owDzENMAsGA1UEAwwE
cm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABA00sFzxO9wwOkiZXNXyTSkv
Rp+rO6/tk7oyxVbPiDuBGnyZ8nzWYl4eUEUH39/OV1CefBPI/W1AOdp0ohh7egyj
YzBhMB0GA1UdDgQWBBQzpAlsRVO2HRNo4BiTuecmalQpMzAfBgNVHSMEGDAWgBTS
xyeqNagRoa6JZEivOAx06BztaTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQE
AwICpDAKBggqhkjOPQQDAgNJADBGAiEAiBEQ+qq7Lf2Re7/lbcsrjoipGYtaXL1N
gwZplUGnvUwCIQC5ZyL0tH9jQuaryJNQAXyUq2PS8sZuVmJZmYV7f33l2Q==
-----END CERTIFICATE-----
)";

// CN=caroot, signed by root
const std::string kCaOfRoot = R"(-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgICSPcwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcm9vdDAg
Fw0yNjExMjIyMTA1NDdaGA8yMTI2MTAyOTIxMDU0N1owETEPMA0GA1UEAwwGY2Fy
b290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZEYWzL6rC4824R4G2ZON3BHw
FDjAfaVtppMXPOBNQVFZ10Jm3YmTAX585JUhSq5YoyRVZQT5bk2LsBEDKYRwLaNj
MGEwHQYDVR0OBBYEFHVWiD5zjrXuLXePbP7Q339oVd5CMB8GA1UdIwQYMBaAFDOk
CWxFU7YdE2jgGJO55yZqVCkzMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQD
AgKkMAoGCCqGSM49BAMCA0gAMEUCIBHnzBSH1WGLN7uNmmynzpOwZhlkcihVTibk
+dPb4hdoAiEAjOxT/+dU+tEZZRhu3nCnzQWAmbF56qQm6+Pfdko0HaI=
-----END CERTIFICATE-----
)";

constexpr char kHashOfRoot[] = "07aaf4e8f7e5d66fa73af224a93a8c4753235c76d5bcf822b700d1700f339be8";
constexpr char kHashOfOldRoot[] =
    "bd08cffd2049e087f3759f634de40ad3e9c615878581a6069de92a9adf22631f";

TEST(CaHash, OfOneCertificateIsThatOfItsText) {
  EXPECT_EQ(CaHash(kRoot).value(),
            "cf67b17560162e2da00318fac47c6f9112330f3ad749b80968361e848f6fb2d7");
  EXPECT_EQ(CaHash(kRoot + "\n").value(), HexOf(Sha256Of(BytesOf(kRoot + "\n"))));
}

TEST(CaHash, OfACustomBundleIsThatOfItsRoot) {
  EXPECT_EQ(CaHash(kCa + kIntermediate + kRoot).value(), kHashOfRoot);
  EXPECT_EQ(CaHash(kCa + kRoot + kIntermediate).value(), kHashOfRoot);
  EXPECT_EQ(CaHash("a comment\n" + kCa + "another\n" + kIntermediate + kRoot).value(), kHashOfRoot);
}

// The order of K3s' contrib/util/rotate-default-ca-certs.sh, and others.
TEST(CaHash, AfterARotationTheNewRootIsPreferredToTheCrossSignedOne) {
  EXPECT_EQ(CaHash(kCaOfRoot + kRoot + kCrossSignedRoot + kOldRoot).value(), kHashOfRoot);
  EXPECT_EQ(CaHash(kCaOfRoot + kCrossSignedRoot + kRoot + kOldRoot).value(), kHashOfRoot);
  EXPECT_EQ(CaHash(kCaOfRoot + kCrossSignedRoot + kOldRoot).value(), kHashOfOldRoot);
}

TEST(CaHash, OfTheSameRootTwiceIsThatOfTheRoot) {
  EXPECT_EQ(CaHash(kRoot + kRoot).value(), kHashOfRoot);
}

TEST(CaHash, WithoutAWayToARootItIsThatOfTheText) {
  EXPECT_EQ(CaHash(kCa + kIntermediate).value(),
            "09743f9932ddc45fea5ba97504a082057a5dff3372144d2bc2b925c672c295d2");
  EXPECT_EQ(CaHash(kCa + kRoot).value(),
            "72746111e9f59851251196b1ad8e0a1c59b3589c908b21a4b1de848da1275e8f");
  // from kRoot over its cross-signed twin would be a circle
  EXPECT_EQ(CaHash(kRoot + kCrossSignedRoot + kOldRoot).value(),
            "767a3faf362ae8a1a2877e1fad2836468b86d2f069039aafb730904cefa9a43e");
}

}  // namespace
}  // namespace holdfast
