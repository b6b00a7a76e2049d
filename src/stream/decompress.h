// Reads a snapshot file as its plain bytes, however it is compressed. Its first bytes say how, not its name.
//
// The file may come from anyone. Accepted are plain bytes, a zip of exactly one entry (RKE2's layout, see zip_directory.h)
// and zstd frames (RFC 8878) up to the end of the file. Everything streams: memory stays below 1 MB (zstd: the window that
// the file asks for, at most 128 MiB) whatever size the file claims, and the caller can stop at any byte.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/random_access.h"
#include "stream/compression.h"
#include "stream/stream.h"

namespace holdfast {

class DecompressedSource : public Source {
 public:
  virtual Compression compression() const = 0;

  // How many plain bytes there are, as the file claims; none if it does not say. If that is wrong, reading ends with an
  // error. Of several zstd frames it is the first one's size, and more bytes follow; `zstd` and we write one.
  virtual std::optional<std::uint64_t> size() const = 0;
};

// `file` must outlive the result. Errors, here and from Read: kDataLoss if the file is broken or truncated, or its
// layout is not one of these, and those of `file`. The end of the stream (Read gives 0) says that
// all sizes and checksums are right; until then the bytes are unproven.
StatusOr<std::unique_ptr<DecompressedSource>> OpenDecompressed(const RandomAccess& file);

// How the message of a refused layout begins; RKE2's words.
inline constexpr std::string_view kUnexpectedContents =
    "unexpected compressed etcd snapshot contents";

// kDataLoss, "unexpected ... contents: <path> <what was found>".
template <typename... Args>
Status UnexpectedContentsError(const RandomAccess& file, fmt::format_string<Args...> found,
                               Args&&... args) {
  return DataLossError("{}: {} {}", kUnexpectedContents, file.path(),
                       fmt::format(found, std::forward<Args>(args)...));
}

}  // namespace holdfast
