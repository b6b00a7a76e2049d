#include "sqlite/examine.h"

#include <pthread.h>

#include <algorithm>

#include "sqlite/contents.h"

namespace holdfast::sqlite {
namespace {

// `db` and `again` are of the same `bytes` bytes, that nobody writes any more: the check and the reading of kine's table
// take as long as each other, so they run side by side.
Status Examine(Connection& db, Connection& again, std::uint64_t bytes, SnapshotFacts& facts) {
  RETURN_IF_ERROR(db.FileIsComplete(bytes));
  RETURN_IF_ERROR(again.FileIsComplete(bytes));
  Status read;
  std::jthread reading([&] {
    ::pthread_setname_np(::pthread_self(), "sqlite-kine");
    read = ReadKineFacts(again, facts);
  });
  const Status whole = CheckIntegrity(db);
  reading.join();
  // What was read in a damaged file means nothing.
  return whole.ok() ? read : whole;
}

// Without the name that a scratch file had for a moment.
Status WithoutScratchName(const Status& status, const std::string& name) {
  std::string message = MessageOf(status);
  if (const auto at = message.find(name + ": "); at != std::string::npos)
    message.erase(at, name.size() + 2);
  return WithHint(MakeStatus(status.code(), message), HintOf(status));
}

}  // namespace

// --- a payload that comes from anywhere ---

Status PayloadExaminer::Write(ByteSpan data) {
  if (!scratch_) {
    if (data.size() < kMagic.size() || TextOf(data.first(kMagic.size())) != kMagic)
      return DataLossError("not a SQLite database: its first bytes are not \"SQLite format 3\"");
    ASSIGN_OR_RETURN(scratch_, MakeScratchDatabase(fs_, directory_, stop_));
    scratch_->writer.reset();
  }
  RETURN_IF_ERROR(scratch_->file->WriteAt(facts_.bytes, data));
  facts_.bytes += data.size();
  hash_.Update(data);
  return OkStatus();
}

Status PayloadExaminer::Finish() {
  if (!scratch_) return DataLossError("not a SQLite database: it is empty");
  facts_.sha256 = HexOf(hash_.Finish());
  const Status whole = Examine(*scratch_->reader, *scratch_->second_reader, facts_.bytes, facts_);
  if (stop_.stop_requested()) return CancelledError("stopped");
  return WithoutScratchName(whole, scratch_->reader->path());
}

// --- a payload in a file ---

FileExaminer::FileExaminer(std::unique_ptr<Connection> reader, std::unique_ptr<Connection> again,
                           std::uint64_t bytes, bool nameless, std::stop_source end,
                           std::stop_token stop)
    : reader_(std::move(reader)),
      again_(std::move(again)),
      end_(std::move(end)),
      on_stop_(std::move(stop), [this] { end_.request_stop(); }),
      check_([this, bytes, nameless] {
        ::pthread_setname_np(::pthread_self(), "sqlite-check");
        whole_ = Examine(*reader_, *again_, bytes, facts_);
        if (nameless) whole_ = WithoutScratchName(whole_, reader_->path());
      }) {}

FileExaminer::~FileExaminer() { end_.request_stop(); }

Status FileExaminer::Write(ByteSpan data) {
  hash_.Update(data);
  came_ += data.size();
  return OkStatus();
}

Status FileExaminer::Finish() {
  if (check_.joinable()) check_.join();
  if (end_.stop_requested()) return CancelledError("stopped");
  facts_.sha256 = HexOf(hash_.Finish());
  facts_.bytes = came_;
  return whole_;
}

StatusOr<std::unique_ptr<Examiner>> MakeFileExaminer(FileSystem& fs, const std::string& path,
                                                     std::stop_token stop) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  std::stop_source end;
  ASSIGN_OR_RETURN(auto reader, Connection::Open(path, Access::kImmutable, end.get_token()));
  ASSIGN_OR_RETURN(auto again, Connection::Open(path, Access::kImmutable, end.get_token()));
  return std::make_unique<FileExaminer>(std::move(reader), std::move(again), info.size_bytes,
                                        /*nameless=*/false, std::move(end), std::move(stop));
}

// --- a snapshot being taken ---

SqliteSnapshot::SqliteSnapshot(DatastoreState origin, ScratchDatabase copy, std::uint64_t size,
                               std::stop_source end, std::stop_token stop)
    : origin_(std::move(origin)),
      copy_(std::move(copy.file)),
      size_(size),
      examiner_(std::move(copy.reader), std::move(copy.second_reader), size, /*nameless=*/true,
                std::move(end), std::move(stop)) {}

StatusOr<std::size_t> SqliteSnapshot::Read(MutableByteSpan out) {
  ASSIGN_OR_RETURN(
      const std::size_t n,
      copy_->ReadAt(offset_, out.first(std::min<std::uint64_t>(out.size(), size_ - offset_))));
  offset_ += n;
  if (n == 0 && offset_ != size_)
    return DataLossError("the copy of {} ends after {} of {} bytes", origin_.location, offset_,
                         size_);
  return n;
}

}  // namespace holdfast::sqlite
