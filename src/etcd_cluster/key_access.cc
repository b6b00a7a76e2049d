#include "etcd_cluster/key_access.h"

#include <algorithm>

#include "etcd_cluster/endpoints.h"
#include "formats/kine/content.h"

namespace holdfast {
namespace {

// A page is as many keys as make about this much; etcd counts all keys behind a page again for each.
constexpr std::size_t kPageBytes = 2 * kMiB;
constexpr std::int64_t kPageKeysMin = 16, kPageKeysMax = 20'000;
// Around each change of a transaction, and around all: more than protobuf and etcd's own header take.
constexpr std::size_t kChangeOverhead = 32, kTransactionOverhead = 512;

class EtcdKeyWriter final : public KeyWriter {
 public:
  explicit EtcdKeyWriter(std::shared_ptr<etcd::Client> client)
      : client_(std::move(client)), batch_(*client_) {}

  Status Write(const KeyRow& row) override {
    if (row.deleted || row.name == kCompactionNote) return OkStatus();
    return Said(batch_.Add({.key = row.name, .value = row.value}));
  }
  Status Commit() override { return Said(batch_.Flush()); }

 private:
  Status Said(const Status& status) const {
    return Annotate(status, fmt::format("after {} keys, which stay in etcd", batch_.written()));
  }

  const std::shared_ptr<etcd::Client> client_;
  KeyBatch batch_;
};

Status NoHistory() {
  return FailedPreconditionError("etcd gives and takes live keys only, no history");
}

}  // namespace

StatusOr<KeyView> ForEachKey(etcd::Client& client, std::int64_t revision, bool keys_only,
                             const std::function<Status(const etcd::KeyRecord&)>& act,
                             std::stop_token stop) {
  KeyView view{.revision = revision};
  std::int64_t limit = 500;
  for (etcd::ScanRequest request{.revision = revision, .keys_only = keys_only};;) {
    if (stop.stop_requested()) return CancelledError("stopped");
    request.limit = limit;
    const auto page = client.Scan(request);
    if (page.status().code() == StatusCode::kOutOfRange) {
      return WithHint(AbortedError("etcd compacted revision {} while its keys were read: {}",
                                   view.revision, MessageOf(page.status())),
                      "Try again; a compaction that comes less often leaves more time.");
    }
    RETURN_IF_ERROR(ExplainRefusal(page.status()));
    request.revision = view.revision = page->revision;
    std::size_t bytes = 0;
    for (const etcd::KeyRecord& record : page->records) {
      bytes += record.key.size() + record.value.size();
      RETURN_IF_ERROR(act(record));
    }
    view.keys += page->records.size();
    if (!page->more || page->records.empty()) return view;
    request.from = page->records.back().key + '\0';
    const auto got = static_cast<std::int64_t>(page->records.size());
    limit = std::clamp(bytes < kPageBytes / 2   ? got * 2
                       : bytes > kPageBytes * 2 ? got / 2
                                                : got,
                       kPageKeysMin, kPageKeysMax);
  }
}

Status KeyBatch::Add(etcd::KeyChange change) {
  const std::size_t bytes =
      change.key.size() + (change.value ? change.value->size() : 0) + kChangeOverhead;
  if (changes_.size() == etcd::kTransactionChangesMax ||
      (!changes_.empty() && bytes_ + bytes > etcd::kTransactionBytesMax - kTransactionOverhead)) {
    RETURN_IF_ERROR(Flush());
  }
  bytes_ += bytes;
  changes_.push_back(std::move(change));
  return OkStatus();
}

Status KeyBatch::Flush() {
  if (changes_.empty()) return OkStatus();
  const Status status = ExplainRefusal(client_.Apply(changes_));
  if (!status.ok()) {
    return Annotate(status, fmt::format("write {} keys from \"{}\" on, {} bytes", changes_.size(),
                                        changes_.front().key, bytes_));
  }
  written_ += changes_.size();
  changes_.clear();
  bytes_ = 0;
  return OkStatus();
}

StatusOr<SnapshotFacts> ReadEtcdContent(etcd::Client& client, std::stop_token stop) {
  kine::ContentReader reader;
  const auto read = [&](const etcd::KeyRecord& record) {
    reader.BeginRow(record.mod_revision, record.key, false, 0);
    reader.Value(BytesOf(record.value));
    reader.EndRow();
    return OkStatus();
  };
  ASSIGN_OR_RETURN(const KeyView view, ForEachKey(client, 0, false, read, std::move(stop)));
  kine::Content content = reader.Finish();
  SnapshotFacts facts;
  facts.revision = view.revision;
  facts.live_keys = content.live_keys;
  facts.content_hash = std::move(content.content_hash);
  facts.bootstrap = std::move(content.bootstrap);
  return facts;
}

Status ReadEtcdRows(etcd::Client& client, Rows which,
                    const std::function<Status(const KeyRow&)>& row, std::stop_token stop) {
  if (which != Rows::kLive) return NoHistory();
  const auto tell = [&](const etcd::KeyRecord& record) -> Status {
    if (record.key == kCompactionNote) return OkStatus();
    KeyRow out;
    out.id = record.mod_revision;
    out.name = record.key;
    out.created = record.create_revision == record.mod_revision;
    out.create_revision = record.create_revision;
    out.lease = record.lease;
    out.value = record.value;
    return row(out);
  };
  return ForEachKey(client, 0, false, tell, std::move(stop)).status();
}

StatusOr<std::unique_ptr<KeyWriter>> WriteEtcdRows(std::shared_ptr<etcd::Client> client,
                                                   Rows which) {
  if (which != Rows::kLive) return NoHistory();
  const auto page = client->Scan({.limit = 1, .keys_only = true});
  RETURN_IF_ERROR(ExplainRefusal(page.status()));
  if (page->count > 0)
    return FailedPreconditionError("etcd is not empty: it has {} keys", page->count);
  return std::make_unique<EtcdKeyWriter>(std::move(client));
}

}  // namespace holdfast
