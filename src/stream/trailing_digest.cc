#include "stream/trailing_digest.h"

#include <algorithm>

namespace holdfast {

Status TrailingDigest::Write(ByteSpan data) {
  bytes_ += data.size();
  // Of held + data, all but the last 32 bytes are payload for certain.
  const std::size_t total = held_size_ + data.size();
  const std::size_t payload = total > kDigestBytes ? total - kDigestBytes : 0;
  const std::size_t from_held = std::min(payload, held_size_);
  hash_.Update(ByteSpan(held_).first(from_held));
  std::copy(held_.begin() + static_cast<std::ptrdiff_t>(from_held),
            held_.begin() + static_cast<std::ptrdiff_t>(held_size_), held_.begin());
  held_size_ -= from_held;
  const std::size_t from_data = payload - from_held;
  hash_.Update(data.first(from_data));
  std::copy(data.begin() + static_cast<std::ptrdiff_t>(from_data), data.end(),
            held_.begin() + static_cast<std::ptrdiff_t>(held_size_));
  held_size_ += data.size() - from_data;
  return OkStatus();
}

Status TrailingDigest::Finish() {
  if (!SizeHasDigest(bytes_)) {
    return DataLossError(
        "snapshot missing hash but --skip-hash-check=false: {} bytes are no multiple of 512 plus a "
        "digest of {}",
        bytes_, kDigestBytes);
  }
  digest_ = hash_.Finish();
  if (!std::equal(held_.begin(), held_.end(), digest_.begin())) {
    return DataLossError("expected sha256 [{}], got [{}]: the snapshot is damaged", HexOf(held_),
                         HexOf(digest_));
  }
  return OkStatus();
}

Status CheckDigest(const TrailingDigest& digest, const std::string& expected) {
  if (expected.empty() || HexOf(digest.digest()) == expected) return OkStatus();
  return DataLossError("it is not the snapshot that its metadata describe: they say sha256 {:.64}",
                       expected);
}

}  // namespace holdfast
