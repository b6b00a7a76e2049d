// What a payload of SQLite is and whether it is whole: the same words for a snapshot that is being taken and for a file that
// came from anywhere.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/checksum.h"
#include "datastore/datastore.h"
#include "sqlite/scratch_database.h"

namespace holdfast::sqlite {

// The first 16 bytes of every database. Source: sqlite.org/fileformat2.html, section 1.3
inline constexpr std::string_view kMagic{"SQLite format 3\0", 16};

// Unpacks any payload to a file without a name, and examines that at the end.
class PayloadExaminer final : public Examiner {
 public:
  // `fs` must outlive this.
  PayloadExaminer(FileSystem& fs, std::string scratch_directory, std::stop_token stop)
      : fs_(fs), directory_(std::move(scratch_directory)), stop_(std::move(stop)) {}

  Status Write(ByteSpan data) override;
  Status Finish() override;
  const SnapshotFacts& facts() const override { return facts_; }

 private:
  FileSystem& fs_;
  const std::string directory_;
  const std::stop_token stop_;
  std::optional<ScratchDatabase> scratch_;
  Sha256 hash_;
  SnapshotFacts facts_;
};

// Of a payload that lies in a file already: two threads look into that while its bytes come by for their digest. Finish()
// is kCancelled soon after the token it was made with asks for a stop.
class FileExaminer final : public Examiner {
 public:
  // `reader` and `again` (kImmutable) were opened with the token of `end`; their file is `bytes` long and nobody writes to
  // it any more. `nameless`: its path means nothing to anybody.
  FileExaminer(std::unique_ptr<Connection> reader, std::unique_ptr<Connection> again,
               std::uint64_t bytes, bool nameless, std::stop_source end, std::stop_token stop);
  ~FileExaminer() override;

  Status Write(ByteSpan data) override;
  Status Finish() override;
  const SnapshotFacts& facts() const override { return facts_; }

 private:
  const std::unique_ptr<Connection> reader_, again_;
  std::stop_source end_;
  const std::stop_callback<std::function<void()>> on_stop_;
  Sha256 hash_;
  std::uint64_t came_ = 0;
  SnapshotFacts facts_;
  Status whole_;        // what the check found
  std::jthread check_;  // writes whole_ and what kine's table says of facts_
};

StatusOr<std::unique_ptr<Examiner>> MakeFileExaminer(FileSystem& fs, const std::string& path,
                                                     std::stop_token stop);

// A copy that lies in a scratch file.
class SqliteSnapshot final : public DatastoreSnapshot {
 public:
  // `end` is the token's source that the copy's connections were opened with.
  SqliteSnapshot(DatastoreState origin, ScratchDatabase copy, std::uint64_t size,
                 std::stop_source end, std::stop_token stop);

  StatusOr<std::size_t> Read(MutableByteSpan out) override;
  const DatastoreState& origin() const override { return origin_; }
  std::optional<std::uint64_t> size() const override { return size_; }
  Examiner& examiner() override { return examiner_; }

 private:
  const DatastoreState origin_;
  const std::unique_ptr<File> copy_;
  const std::uint64_t size_;
  std::uint64_t offset_ = 0;
  FileExaminer examiner_;
};

}  // namespace holdfast::sqlite
