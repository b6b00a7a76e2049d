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
  PayloadExaminer(FileSystem& fs, std::string scratch_directory)
      : fs_(fs), directory_(std::move(scratch_directory)) {}

  Status Write(ByteSpan data) override;
  Status Finish() override;
  const SnapshotFacts& facts() const override { return facts_; }

 private:
  FileSystem& fs_;
  const std::string directory_;
  std::optional<ScratchDatabase> scratch_;
  Sha256 hash_;
  SnapshotFacts facts_;
};

// The same of a payload that lies on this host as it is: nothing is unpacked.
StatusOr<SnapshotFacts> ExamineFile(FileSystem& fs, const std::string& path,
                                    const std::function<void(std::uint64_t done)>& on_progress,
                                    std::stop_token stop);

// A copy that lies in a scratch file: streamed, while a thread of its own examines it.
class SqliteSnapshot final : public DatastoreSnapshot {
 public:
  // `stop` is the token's source that the copy's connections were opened with.
  SqliteSnapshot(DatastoreState origin, ScratchDatabase copy, std::uint64_t size,
                 std::stop_source stop);
  ~SqliteSnapshot() override;

  StatusOr<std::size_t> Read(MutableByteSpan out) override;
  const DatastoreState& origin() const override { return origin_; }
  std::optional<std::uint64_t> size() const override { return size_; }
  Examiner& examiner() override { return examiner_; }

 private:
  class Companion final : public Examiner {
   public:
    explicit Companion(SqliteSnapshot& snapshot) : snapshot_(snapshot) {}
    Status Write(ByteSpan data) override;
    Status Finish() override;
    const SnapshotFacts& facts() const override { return snapshot_.facts_; }

   private:
    SqliteSnapshot& snapshot_;
    Sha256 hash_;
  };

  const DatastoreState origin_;
  const ScratchDatabase copy_;
  std::stop_source stop_;
  const std::uint64_t size_;
  std::uint64_t offset_ = 0, examined_ = 0;
  SnapshotFacts facts_;
  Status whole_;  // what the check found
  Companion examiner_;
  std::jthread check_;  // writes whole_ and what kine's table says of facts_
};

}  // namespace holdfast::sqlite
