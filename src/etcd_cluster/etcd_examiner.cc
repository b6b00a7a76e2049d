#include "etcd_cluster/etcd_examiner.h"

#include "base/endian.h"
#include "base/path.h"
#include "formats/kine/content.h"
#include "formats/mvcc/live_keys.h"
#include "formats/mvcc/stream_observer.h"
#include "stream/trailing_digest.h"

namespace holdfast {
namespace {

// One sink for digest and revision, because looking takes a tenth of the time of hashing: a thread of its own would cost
// as much in wake-ups.
class EtcdExaminer final : public Examiner {
 public:
  Status Write(ByteSpan data) override {
    facts_.bytes += data.size();
    observer_.Update(data);
    return digest_.Write(data);
  }

  Status Finish() override {
    RETURN_IF_ERROR(digest_.Finish());
    facts_.sha256 = HexOf(digest_.digest());
    if (const auto found = observer_.Finish()) {
      facts_.revision = found->revision;
      facts_.compact_revision = found->compact_revision;
    }
    return OkStatus();
  }

  const SnapshotFacts& facts() const override { return facts_; }

 private:
  TrailingDigest digest_;
  mvcc::StreamObserver observer_;
  SnapshotFacts facts_;
};

class DeepEtcdExaminer final : public Examiner {
 public:
  DeepEtcdExaminer(FileSystem& fs, std::string directory, std::stop_token stop)
      : fs_(fs), directory_(std::move(directory)), stop_(std::move(stop)) {}

  Status Write(ByteSpan data) override {
    if (!file_) {
      ASSIGN_OR_RETURN(file_, CreateUnnamedFile(fs_, directory_), "unpack the snapshot");
    }
    RETURN_IF_ERROR(file_->WriteAt(bytes_, data));
    bytes_ += data.size();
    return stream_.Write(data);
  }

  Status Finish() override {
    RETURN_IF_ERROR(stream_.Finish());
    facts_ = stream_.facts();
    ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(*file_));
    kine::ContentReader reader;
    const auto read = [&](const mvcc::LiveKey& live) {
      reader.BeginRow(live.revision.main, TextOf(live.key), false, 0);
      reader.Value(live.value);
      reader.EndRow();
      return OkStatus();
    };
    RETURN_IF_ERROR(mvcc::ForEachLiveKey(database, read, stop_));
    kine::Content content = reader.Finish();
    facts_.live_keys = content.live_keys;
    facts_.content_hash = std::move(content.content_hash);
    facts_.bootstrap = std::move(content.bootstrap);
    return OkStatus();
  }

  const SnapshotFacts& facts() const override { return facts_; }

 private:
  FileSystem& fs_;
  const std::string directory_;
  const std::stop_token stop_;
  EtcdExaminer stream_;
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
  SnapshotFacts facts_;
};

}  // namespace

std::unique_ptr<Examiner> MakeDeepEtcdExaminer(FileSystem& fs, const std::string& scratch_directory,
                                               std::stop_token stop) {
  return std::make_unique<DeepEtcdExaminer>(fs, scratch_directory, std::move(stop));
}

std::unique_ptr<Examiner> MakeEtcdExaminer() { return std::make_unique<EtcdExaminer>(); }

bool RecognizesEtcdSnapshot(ByteSpan first_bytes) {
  return first_bytes.size() >= bbolt::kPageHeaderBytes + 4 &&
         LoadLittle<std::uint32_t>(first_bytes.data() + bbolt::kPageHeaderBytes) == bbolt::kMagic;
}

}  // namespace holdfast
