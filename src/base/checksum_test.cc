#include "base/checksum.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Crc32c, CheckValueOfThePolynomial) {
  EXPECT_EQ(Crc32c(BytesOf("123456789")), 0xe3069283u);
  EXPECT_EQ(Crc32c({}), 0u);
}

TEST(Crc32c, ChainedPiecesEqualTheWhole) {
  EXPECT_EQ(Crc32c(BytesOf("6789"), Crc32c(BytesOf("12345"))), 0xe3069283u);
}

TEST(Fnv1a64, PublishedValues) {
  EXPECT_EQ(Fnv1a64({}), 0xcbf29ce484222325u);
  EXPECT_EQ(Fnv1a64(BytesOf("a")), 0xaf63dc4c8601ec8cu);
}

TEST(Sha256, PublishedValueInOnePieceAndInMany) {
  constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(HexOf(Sha256Of(BytesOf("abc"))), kAbc);
  Sha256 hash;
  hash.Update(BytesOf("a"));
  hash.Update({});
  hash.Update(BytesOf("bc"));
  EXPECT_EQ(HexOf(hash.Finish()), kAbc);
}

TEST(Sha1, PublishedValue) {
  EXPECT_EQ(HexOf(Sha1Of(BytesOf("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace holdfast
