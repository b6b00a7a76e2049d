// The digest at the end of an etcd snapshot: the last 32 bytes are the SHA-256 of all before them (the Snapshot RPC and
// `etcdctl snapshot save` put them there). This sink reads a snapshot and says at the end whether that is so.
// Source: etcd server/etcdserver/api/v3rpc/maintenance.go (Snapshot) and etcdutl/snapshot/v3_snapshot.go (copyAndVerifyDB).
#pragma once

#include <array>
#include <string>

#include "base/checksum.h"
#include "stream/stream.h"

namespace holdfast {

// A snapshot file with a digest is this much longer than a multiple of 512.
inline constexpr std::uint64_t kDigestBytes = 32;
inline bool SizeHasDigest(std::uint64_t bytes) { return bytes % 512 == kDigestBytes; }

class TrailingDigest final : public Sink {
 public:
  Status Write(ByteSpan data) override;

  // kDataLoss: "snapshot missing hash ..." if there is no digest, "expected sha256 [...], got [...]" if it is another one.
  Status Finish() override;

  // After Finish() was OK.
  const Sha256Digest& digest() const { return digest_; }

 private:
  Sha256 hash_;
  std::array<std::uint8_t, kDigestBytes> held_{};  // the last bytes seen: they may be the digest
  std::size_t held_size_ = 0;
  std::uint64_t bytes_ = 0;
  Sha256Digest digest_{};
};

// `digest` is `expected` (hex), if anybody expects something: empty fits all. kDataLoss otherwise.
Status CheckDigest(const TrailingDigest& digest, const std::string& expected);

}  // namespace holdfast
