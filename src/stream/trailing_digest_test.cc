#include "stream/trailing_digest.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

std::string Snapshot(std::size_t payload) {
  std::string text(payload, 'p');
  return text + std::string(TextOf(Sha256Of(BytesOf(text))));
}

Status Check(const std::string& snapshot, std::size_t piece) {
  TrailingDigest digest;
  for (std::size_t i = 0; i < snapshot.size(); i += piece) {
    RETURN_IF_ERROR(digest.Write(BytesOf(std::string_view(snapshot).substr(i, piece))));
  }
  RETURN_IF_ERROR(digest.Finish());
  return OkStatus();
}

TEST(TrailingDigest, HoldsInPiecesOfAnySize) {
  for (std::size_t piece : {1, 7, 31, 32, 33, 64, 100000}) {
    for (std::size_t payload : {0, 512, 5120})
      EXPECT_TRUE(Check(Snapshot(payload), piece).ok()) << piece << " " << payload;
  }
}

TEST(TrailingDigest, OneFlippedBitAnywhereIsFound) {
  const std::string good = Snapshot(512);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_TRUE(absl::IsDataLoss(Check(bad, 100))) << i;
  }
}

TEST(TrailingDigest, WithoutOneItSaysSo) {
  EXPECT_NE(MessageOf(Check(std::string(1024, 'x'), 100))
                .find("snapshot missing hash but --skip-hash-check=false"),
            std::string::npos);
  EXPECT_TRUE(absl::IsDataLoss(Check("", 1)));
}

}  // namespace
}  // namespace holdfast
