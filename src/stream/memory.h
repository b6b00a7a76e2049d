// A string as a Source, a Sink or random access: for tests and for small things.
#pragma once

#include <algorithm>
#include <string>

#include "base/random_access.h"
#include "stream/stream.h"

namespace holdfast {

class StringSource final : public Source {
 public:
  // `piece_max` bounds what one Read gives, to try short reads.
  explicit StringSource(std::string text, std::size_t piece_max = ~std::size_t{0})
      : text_(std::move(text)), piece_max_(piece_max) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    const std::size_t n = std::min({out.size(), piece_max_, text_.size() - position_});
    std::copy_n(BytesOf(text_).begin() + static_cast<std::ptrdiff_t>(position_), n, out.begin());
    position_ += n;
    return n;
  }

 private:
  std::string text_;
  std::size_t piece_max_, position_ = 0;
};

class StringSink final : public Sink {
 public:
  Status Write(ByteSpan data) override {
    text_.append(TextOf(data));
    return OkStatus();
  }
  Status Finish() override {
    finished_ = true;
    return OkStatus();
  }
  const std::string& text() const { return text_; }
  bool finished() const { return finished_; }

 private:
  std::string text_;
  bool finished_ = false;
};

class StringAccess final : public RandomAccess {
 public:
  explicit StringAccess(std::string text, std::string path = "memory")
      : text_(std::move(text)), path_(std::move(path)) {}

  const std::string& path() const override { return path_; }
  StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
    if (offset >= text_.size()) return 0;
    const std::size_t n = std::min<std::size_t>(out.size(), text_.size() - offset);
    std::copy_n(BytesOf(text_).begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
    return n;
  }
  StatusOr<std::uint64_t> Size() const override { return text_.size(); }

 private:
  std::string text_, path_;
};

}  // namespace holdfast
