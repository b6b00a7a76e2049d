#include "sqlite/examine.h"

#include <pthread.h>

#include <algorithm>
#include <vector>

#include "sqlite/contents.h"
#include "stream/pump.h"

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

// --- a payload from anywhere ---

Status PayloadExaminer::Write(ByteSpan data) {
  if (!scratch_) {
    if (data.size() < kMagic.size() || TextOf(data.first(kMagic.size())) != kMagic)
      return DataLossError("not a SQLite database: its first bytes are not \"SQLite format 3\"");
    ASSIGN_OR_RETURN(scratch_, MakeScratchDatabase(fs_, directory_, {}));
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
  return WithoutScratchName(
      Examine(*scratch_->reader, *scratch_->second_reader, facts_.bytes, facts_),
      scratch_->reader->path());
}

StatusOr<SnapshotFacts> ExamineFile(FileSystem& fs, const std::string& path,
                                    const std::function<void(std::uint64_t done)>& on_progress,
                                    std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  ASSIGN_OR_RETURN(const std::uint64_t bytes, file->Size());
  std::stop_source end;
  const std::stop_callback pass_on(stop, [&end] { end.request_stop(); });
  ASSIGN_OR_RETURN(const auto db, Connection::Open(path, Access::kImmutable, end.get_token()));
  ASSIGN_OR_RETURN(const auto again, Connection::Open(path, Access::kImmutable, end.get_token()));
  SnapshotFacts facts;
  Status whole;
  std::jthread check([&] {
    ::pthread_setname_np(::pthread_self(), "sqlite-check");
    whole = Examine(*db, *again, bytes, facts);
  });
  Sha256 hash;
  std::vector<std::uint8_t> block(kPumpBlockSize);
  std::uint64_t done = 0;
  while (!stop.stop_requested()) {
    const auto got = file->ReadAt(done, block);
    if (!got.ok()) end.request_stop();
    RETURN_IF_ERROR(got.status());
    if (*got == 0) break;
    hash.Update(ByteSpan(block).first(*got));
    done += *got;
    if (on_progress) on_progress(done);
  }
  check.join();
  if (stop.stop_requested()) return CancelledError("stopped");
  RETURN_IF_ERROR(whole);
  facts.sha256 = HexOf(hash.Finish());
  facts.bytes = done;
  return facts;
}

// --- a snapshot being taken ---

SqliteSnapshot::SqliteSnapshot(DatastoreState origin, ScratchDatabase copy, std::uint64_t size,
                               std::stop_source stop)
    : origin_(std::move(origin)),
      copy_(std::move(copy)),
      stop_(std::move(stop)),
      size_(size),
      examiner_(*this),
      check_([this] {
        ::pthread_setname_np(::pthread_self(), "sqlite-check");
        whole_ = WithoutScratchName(Examine(*copy_.reader, *copy_.second_reader, size_, facts_),
                                    copy_.reader->path());
      }) {}

SqliteSnapshot::~SqliteSnapshot() { stop_.request_stop(); }

StatusOr<std::size_t> SqliteSnapshot::Read(MutableByteSpan out) {
  ASSIGN_OR_RETURN(
      const std::size_t n,
      copy_.file->ReadAt(offset_, out.first(std::min<std::uint64_t>(out.size(), size_ - offset_))));
  offset_ += n;
  if (n == 0 && offset_ != size_)
    return DataLossError("the copy of {} ends after {} of {} bytes", origin_.location, offset_,
                         size_);
  return n;
}

Status SqliteSnapshot::Companion::Write(ByteSpan data) {
  hash_.Update(data);
  snapshot_.examined_ += data.size();
  return OkStatus();
}

Status SqliteSnapshot::Companion::Finish() {
  if (snapshot_.check_.joinable()) snapshot_.check_.join();
  snapshot_.facts_.sha256 = HexOf(hash_.Finish());
  snapshot_.facts_.bytes = snapshot_.examined_;
  return snapshot_.whole_;
}

}  // namespace holdfast::sqlite
