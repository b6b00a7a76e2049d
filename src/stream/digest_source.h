// A Source that gives its end only if all that came before has the digest that was expected: what is read a second time is
// what was proven the first time.
#pragma once

#include <string>
#include <utility>

#include "base/checksum.h"
#include "stream/stream.h"

namespace holdfast {

class DigestSource final : public Source {
 public:
  // `source` must outlive this. `sha256` in lower-case hex; empty: any.
  DigestSource(Source& source, std::string sha256)
      : source_(source), expected_(std::move(sha256)) {}

  // kDataLoss in place of the end, if the digest is another one.
  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    ASSIGN_OR_RETURN(const std::size_t n, source_.Read(out));
    if (n > 0) {
      hash_.Update(out.first(n));
      return n;
    }
    const std::string found = HexOf(hash_.Finish());
    if (expected_.empty() || expected_ == found) return n;
    return DataLossError("what came is not what was examined: SHA-256 {} instead of {}", found,
                         expected_);
  }

 private:
  Source& source_;
  const std::string expected_;
  Sha256 hash_;
};

}  // namespace holdfast
