#include "stream/zip_source.h"

#include <archive.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "stream/zip_directory.h"
#include "stream/zip_format.h"

namespace holdfast {
namespace {

constexpr std::size_t kInputBufferSize = 256 * kKiB;

// libarchive pulls through the three callbacks. The directory was checked before, so it meets exactly the entry we know;
// it inflates, and compares sizes and CRC with the central header.
class ZipSource final : public DecompressedSource {
 public:
  ZipSource(const RandomAccess& file, ZipEntry entry, std::uint64_t file_size)
      : file_(file), entry_(std::move(entry)), file_size_(file_size), input_(kInputBufferSize) {}

  Status Open() {
    archive* const a = archive_.get();
    CHECK(a != nullptr);
    CHECK(archive_read_support_format_zip_seekable(a) == ARCHIVE_OK);
    CHECK(archive_read_set_read_callback(a, &ReadInput) == ARCHIVE_OK);
    CHECK(archive_read_set_skip_callback(a, &SkipInput) == ARCHIVE_OK);
    CHECK(archive_read_set_seek_callback(a, &SeekInput) == ARCHIVE_OK);
    CHECK(archive_read_set_callback_data(a, this) == ARCHIVE_OK);
    if (archive_read_open1(a) != ARCHIVE_OK) return Failure();
    archive_entry* header;
    const int result = archive_read_next_header(a, &header);
    // A warning is about a name that the C locale cannot express.
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Failure();
    return OkStatus();
  }

  Compression compression() const override { return Compression::kZip; }
  std::optional<std::uint64_t> size() const override { return entry_.size; }

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    const la_ssize_t n = archive_read_data(archive_.get(), out.data(), out.size());
    if (n < 0) return Failure();
    given_ += static_cast<std::uint64_t>(n);
    if (given_ > entry_.size || (n == 0 && given_ != entry_.size)) {
      return DataLossError("{}: {} has {} bytes, expected {}", file_.path(),
                           QuotedZipName(entry_.name), given_, entry_.size);
    }
    return static_cast<std::size_t>(n);
  }

 private:
  struct FreeArchive {
    void operator()(archive* a) const { archive_read_free(a); }
  };

  // What the file's own error was, else what libarchive says.
  Status Failure() const {
    if (!input_status_.ok()) return input_status_;
    const char* const text = archive_error_string(archive_.get());
    return DataLossError("{}: {} is broken: {}", file_.path(), QuotedZipName(entry_.name),
                         text != nullptr ? text : "no reason given");
  }

  static la_ssize_t ReadInput(archive*, void* self_pointer, const void** bytes) {
    auto& self = *static_cast<ZipSource*>(self_pointer);
    const StatusOr<std::size_t> n = self.file_.ReadAt(self.offset_, self.input_);
    if (!n.ok()) {
      self.input_status_ = n.status();
      return ARCHIVE_FATAL;
    }
    self.offset_ += *n;
    *bytes = self.input_.data();
    return static_cast<la_ssize_t>(*n);
  }

  static la_int64_t SkipInput(archive*, void* self_pointer, la_int64_t length) {
    auto& self = *static_cast<ZipSource*>(self_pointer);
    const std::uint64_t skipped =
        std::min(static_cast<std::uint64_t>(length), self.file_size_ - self.offset_);
    self.offset_ += skipped;
    return static_cast<la_int64_t>(skipped);
  }

  static la_int64_t SeekInput(archive*, void* self_pointer, la_int64_t offset, int whence) {
    auto& self = *static_cast<ZipSource*>(self_pointer);
    const std::uint64_t base = whence == SEEK_SET   ? 0
                               : whence == SEEK_CUR ? self.offset_
                                                    : self.file_size_;
    const la_int64_t target = static_cast<la_int64_t>(base) + offset;
    if (target < 0 || static_cast<std::uint64_t>(target) > self.file_size_) return ARCHIVE_FATAL;
    self.offset_ = static_cast<std::uint64_t>(target);
    return target;
  }

  const RandomAccess& file_;
  const ZipEntry entry_;
  const std::uint64_t file_size_;
  std::vector<std::uint8_t> input_;
  std::uint64_t offset_ = 0;  // of the next input
  std::uint64_t given_ = 0;   // plain bytes so far
  Status input_status_;
  std::unique_ptr<archive, FreeArchive> archive_{archive_read_new()};
};

}  // namespace

StatusOr<std::unique_ptr<DecompressedSource>> OpenZip(const RandomAccess& file) {
  ASSIGN_OR_RETURN(ZipEntry entry, ReadZipDirectory(file));
  ASSIGN_OR_RETURN(const std::uint64_t file_size, file.Size());
  auto source = std::make_unique<ZipSource>(file, std::move(entry), file_size);
  RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace holdfast
