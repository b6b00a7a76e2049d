#include "keys/seal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "keys/base64.h"

namespace holdfast {
namespace {

// Gives these bytes, in this order.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  void Fill(MutableByteSpan out) override {
    ASSERT_LE(out.size(), bytes_.size() - used_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(used_), out.size(), out.begin());
    used_ += out.size();
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t used_ = 0;
};

// Computed independently of this program.
constexpr char kPlaintext[] =
    "{\"PasswdFile\":{\"Timestamp\":\"2025-01-02T03:04:05Z\",\"Content\":\"aGVsbG8K\"}}\n";
constexpr char kSealed[] =
    "00112233aabbccdd:AAECAwQFBgcICQoLi/"
    "8xhKzOsLua48BCmflWKVALL4klFKeWbCYbwPL43Hc7dLqE1l6rWafKbnMlLL71E//5CKe49LVrpsMWXzvl"
    "vqHVNH81rnTnVav9CdKzrLzb2OCVU5pGenE=";

TEST(Seal, KnownVectorIsMadeFromItsSaltAndNonce) {
  ScriptedRandom random({0x00, 0x11, 0x22, 0x33, 0xaa, 0xbb, 0xcc, 0xdd,  //
                         0,    1,    2,    3,    4,    5,    6,    7,    8, 9, 10, 11});
  const auto sealed = Seal(kPlaintext, Secret("secret"), random);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_EQ(*sealed, kSealed);
}

TEST(Seal, KnownVectorOpens) {
  const auto opened = OpenSealed(kSealed, Secret("secret"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*opened, kPlaintext);
}

TEST(Seal, WhatWasSealedOpensAgain) {
  std::mt19937 chance(1);
  for (const std::size_t size : {0u, 1u, 2u, 15u, 16u, 17u, 1000u, 100'000u}) {
    std::string plaintext(size, '\0');
    for (char& c : plaintext) c = static_cast<char>(chance());
    const Secret password(plaintext.substr(0, size % 40));  // also the empty one
    const auto sealed = Seal(plaintext, password, SystemRandom());
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    EXPECT_EQ(sealed->find(':'), 16u);
    const auto opened = OpenSealed(*sealed, password);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(*opened, plaintext);
  }
}

TEST(Seal, TwoSealsOfOneTextDiffer) {
  EXPECT_NE(*Seal("x", Secret("p"), SystemRandom()), *Seal("x", Secret("p"), SystemRandom()));
}

TEST(Seal, WrongPasswordIsUnauthenticatedAndSaysWhatToDo) {
  for (const char* wrong : {"", "Secret", "secret ", "secre"}) {
    const Status status = OpenSealed(kSealed, Secret(wrong)).status();
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << wrong;
    EXPECT_NE(HintOf(status), "");
  }
}

TEST(Seal, MalformedValuesAreDataLoss) {
  const std::pair<std::string, std::string_view> kCases[] = {
      {"", "invalid cipher text, not : delimited"},
      {"00112233aabbccdd", "invalid cipher text, not : delimited"},
      {"00112233aabbccdd:", "invalid cipher text, 0 bytes, fewer than 28"},
      {"00112233aabbccdd:AA=", "invalid cipher text, not base64 after the colon"},
      {"x:" + Base64Encode(BytesOf(std::string(27, 'x'))),
       "invalid cipher text, 27 bytes, fewer than 28"}};
  for (const auto& [value, message] : kCases) {
    const Status status = OpenSealed(value, Secret("secret")).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << value;
    EXPECT_EQ(MessageOf(status), message) << value;
  }
}

TEST(Seal, NoTruncatedOrFlippedValueOpens) {
  const std::string sealed = kSealed;
  for (std::size_t size = 0; size < sealed.size(); size += 3) {
    EXPECT_FALSE(OpenSealed(sealed.substr(0, size), Secret("secret")).ok()) << size;
  }
  std::string raw = *Base64Decode(sealed.substr(17));
  for (std::size_t i = 0; i < raw.size(); ++i) {
    raw[i] = static_cast<char>(raw[i] ^ (1 << (i % 8)));
    const std::string flipped = sealed.substr(0, 17) + Base64Encode(BytesOf(raw));
    EXPECT_EQ(OpenSealed(flipped, Secret("secret")).status().code(), StatusCode::kUnauthenticated)
        << i;
    raw[i] = static_cast<char>(raw[i] ^ (1 << (i % 8)));
  }
}

TEST(Seal, SizeIsBoundedBothWays) {
  const std::string large(2 * kSealableSizeMax + 1, 'a');
  EXPECT_EQ(Seal(large, Secret("p"), SystemRandom()).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(OpenSealed(large, Secret("p")).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace holdfast
