#include "etcd_cluster/live_restore.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>

#include "base/checksum.h"
#include "etcd_cluster/etcd_examiner.h"
#include "etcd_cluster/key_access.h"
#include "formats/mvcc/live_keys.h"
#include "stream/pump.h"

namespace holdfast {
namespace {

// The first half of a SHA-256: names and values are compared by it.
using ShortHash = std::array<std::uint64_t, 2>;
struct Pick {
  std::size_t operator()(const ShortHash& hash) const { return hash[0]; }
};
ShortHash HashOf(ByteSpan bytes) {
  const Sha256Digest digest = Sha256Of(bytes);
  ShortHash out;
  std::memcpy(out.data(), digest.data(), sizeof out);
  return out;
}

class FileWriter final : public Sink {
 public:
  explicit FileWriter(File& file) : file_(file) {}
  Status Write(ByteSpan data) override {
    RETURN_IF_ERROR(file_.WriteAt(bytes_, data));
    bytes_ += data.size();
    return OkStatus();
  }
  Status Finish() override { return OkStatus(); }

 private:
  File& file_;
  std::uint64_t bytes_ = 0;
};

// What to do with what differs.
struct Acts {
  std::function<Status(const mvcc::LiveKey& key)> write = [](const auto&) { return OkStatus(); };
  std::function<Status(const std::string& name)> remove = nullptr;  // none: not looked for
};

StatusOr<KeyDifference> Compare(etcd::Client& client, const UnpackedSnapshot& snapshot,
                                const Acts& acts, std::stop_token stop) {
  ASSIGN_OR_RETURN(const bbolt::Database database, bbolt::Database::Open(snapshot.file()));
  struct Present {
    ShortHash value;
    bool wanted = false;
  };
  std::unordered_map<ShortHash, Present, Pick> present;  // by name
  const auto learn = [&](const etcd::KeyRecord& record) {
    if (record.key != kCompactionNote)
      present[HashOf(BytesOf(record.key))] = {HashOf(BytesOf(record.value))};
    return OkStatus();
  };
  ASSIGN_OR_RETURN(const KeyView view, ForEachKey(client, 0, false, learn, stop));

  KeyDifference out{.more = present.size(), .revision = view.revision};
  const auto compare = [&](const mvcc::LiveKey& live) -> Status {
    if (TextOf(live.key) == kCompactionNote) return OkStatus();
    if (live.lease != 0) ++out.leased;
    const auto it = present.find(HashOf(live.key));
    if (it == present.end()) {
      ++out.missing;
    } else {
      it->second.wanted = true;
      --out.more;
      if (it->second.value == HashOf(live.value)) {
        ++out.same;
        return OkStatus();
      }
      ++out.changed;
    }
    return acts.write(live);
  };
  RETURN_IF_ERROR(mvcc::ForEachLiveKey(database, compare, stop));
  if (!acts.remove || out.more == 0) return out;
  const auto sift = [&](const etcd::KeyRecord& record) -> Status {
    const auto it = present.find(HashOf(BytesOf(record.key)));
    if (it == present.end() || it->second.wanted) return OkStatus();
    return acts.remove(record.key);
  };
  RETURN_IF_ERROR(ForEachKey(client, view.revision, true, sift, stop).status());
  return out;
}

}  // namespace

StatusOr<UnpackedSnapshot> UnpackedSnapshot::Make(FileSystem& fs, const std::string& directory,
                                                  Source& payload, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto file, CreateUnnamedFile(fs, directory), "unpack the snapshot");
  UnpackedSnapshot out(std::move(file));
  FileWriter writer(*out.file_);
  const auto examiner = MakeEtcdExaminer();
  Sink* const sinks[] = {examiner.get(), &writer};
  ASSIGN_OR_RETURN(out.bytes_, Pump(payload, sinks, {.stop = std::move(stop), .on_progress = {}}),
                   "unpack the snapshot");
  return out;
}

StatusOr<KeyDifference> CompareWithSnapshot(etcd::Client& client, const UnpackedSnapshot& snapshot,
                                            std::stop_token stop) {
  return Compare(client, snapshot, {}, std::move(stop));
}

Status CheckAddsOnly(const KeyDifference& difference) {
  if (difference.only_adds()) return OkStatus();
  return WithHint(
      FailedPreconditionError("this etcd is not empty: of its keys {} have other values than in "
                              "the snapshot, and {} are not in it",
                              difference.changed, difference.more),
      "With --clean those are changed and deleted.");
}

Status MakeKeysEqual(etcd::Client& client, const UnpackedSnapshot& snapshot,
                     const std::function<void(std::uint64_t done)>& on_progress,
                     std::stop_token stop) {
  KeyBatch batch(client);
  const auto add = [&](etcd::KeyChange change) -> Status {
    RETURN_IF_ERROR(batch.Add(std::move(change)));
    if (on_progress) on_progress(batch.written());
    return OkStatus();
  };
  const Acts acts{
      .write =
          [&](const mvcc::LiveKey& live) {
            return add(
                {.key = std::string(TextOf(live.key)), .value = std::string(TextOf(live.value))});
          },
      .remove = [&](const std::string& name) { return add({.key = name, .value = std::nullopt}); }};
  Status status = Compare(client, snapshot, acts, stop).status();
  if (status.ok()) status = batch.Flush();
  if (!status.ok()) {
    return Annotate(status, fmt::format("{} keys are written or deleted, the others are as they "
                                        "were; run it again to continue",
                                        batch.written()));
  }
  ASSIGN_OR_RETURN(const KeyDifference after, CompareWithSnapshot(client, snapshot, stop),
                   "all keys are written; compare them with the snapshot");
  if (after.missing + after.changed + after.more == 0) return OkStatus();
  return WithHint(
      AbortedError("all keys were written, but now {} are missing, {} have other values and {} are "
                   "not in the snapshot: somebody else writes to this etcd",
                   after.missing, after.changed, after.more),
      "Stop what writes to it (the Kubernetes API servers), and run it again.");
}

}  // namespace holdfast
