#include "keys/base64.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Base64, VectorsOfTheRfcBothWays) {
  const std::pair<std::string_view, std::string_view> kVectors[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xfb\xff\xbe", "+/++"}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(Base64Encode(BytesOf(bytes)), text);
    EXPECT_EQ(Base64Decode(text), bytes) << text;
  }
}

TEST(Base64, EveryByteValueComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (std::size_t size = 0; size <= all.size(); ++size) {
    const std::string bytes = all.substr(all.size() - size);
    EXPECT_EQ(Base64Decode(Base64Encode(BytesOf(bytes))), bytes);
  }
}

TEST(Base64, LineBreaksAreSkipped) { EXPECT_EQ(Base64Decode("Zm9v\r\nYg==\n"), "foob"); }

TEST(Base64, AnythingElseIsRefused) {
  for (const char* bad : {"Zg", "Zg=", "Zg===", "Zm9vY", "=",
                          "==", "====", "Z===", "Zg==Zg==", "Zg=g", "Zm 9v", "Zm-_", "Zm9v!"}) {
    EXPECT_FALSE(Base64Decode(bad)) << bad;
  }
}

}  // namespace
}  // namespace holdfast
