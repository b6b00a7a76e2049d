#include "formats/mvcc/inspect.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/checksum.h"
#include "formats/bbolt/walk.h"
#include "formats/mvcc/revision.h"

namespace holdfast::mvcc {
namespace {

constexpr std::string_view kBootstrapPrefix = "/bootstrap/";
// There is one for each token that was in use, of about 20 kB.
constexpr std::size_t kBootstrapKeysMax = 100, kBootstrapValueMax = 1 * kMiB;

constexpr std::size_t kMembersMax = 1000, kMemberValueMax = 64 * kKiB;

// Keys by their 128-bit hash: two of a billion keys collide with a chance of 1 in 10^21.
struct KeyHash {
  std::uint64_t low, high;
  bool operator==(const KeyHash&) const = default;
};
struct KeyHashHasher {
  std::size_t operator()(const KeyHash& k) const { return k.low; }
};

KeyHash HashOf(ByteSpan key) {
  const XXH128_hash_t h = XXH3_128bits(key.data(), key.size());
  return {h.low64, h.high64};
}

class Inspector final : public bbolt::Visitor {
 public:
  Inspector(const InspectOptions& options, Inspection& out) : options_(options), out_(out) {}

  Status OnBucket(ByteSpan name) override {
    bucket_ = TextOf(name);
    has_log_ = has_log_ || bucket_ == "key";
    Hash(name);
    return OkStatus();
  }

  Status OnEntry(ByteSpan key, ByteSpan value) override {
    ++out_.total_entries;
    Hash(key);
    Hash(value);
    if (bucket_ == "key") return OnLogEntry(key, value);
    const std::string_view name = TextOf(key);
    if (bucket_ == "meta") {
      const auto revision = Revision::Parse(value);
      if (name == "finishedCompactRev" && revision) out_.compact_revision = revision->main;
      if (name == "scheduledCompactRev" && revision) scheduled_compact_revision_ = revision->main;
      if (name == "storageVersion") out_.storage_version = TextOf(value);
    } else if (bucket_ == "cluster" && name == "clusterVersion") {
      out_.cluster_version = TextOf(value);
    } else if (bucket_ == "members" && out_.members.size() < kMembersMax &&
               value.size() <= kMemberValueMax) {
      out_.members.emplace(name, TextOf(value));
    } else if (bucket_ == "alarm") {
      ++out_.alarms;
    }
    return OkStatus();
  }

  bool has_log() const { return has_log_; }

  // When all is seen.
  void Finish() {
    out_.revision = std::max({out_.revision, out_.compact_revision, scheduled_compact_revision_});
    out_.live_keys = live_.size();
    for (const auto& [key, deleted] : changed_)
      ++(deleted ? out_.deleted_since : out_.written_since);
  }

 private:
  Status OnLogEntry(ByteSpan key, ByteSpan value) {
    const auto revision = Revision::Parse(key);
    if (!revision)
      return DataLossError("bucket \"key\" holds {}, which is no revision",
                           HexOf(key.first(std::min<std::size_t>(key.size(), 32))));
    const auto kv = KeyValue::Parse(value);
    if (!kv)
      return DataLossError("the value of revision {}.{} is damaged", revision->main, revision->sub);
    out_.revision = revision->main;
    if (options_.count_live_keys && !kv->key.empty()) {
      if (revision->tombstone) {
        live_.erase(HashOf(kv->key));
      } else {
        live_.insert(HashOf(kv->key));
      }
    }
    if (options_.changes_since && revision->main > *options_.changes_since && !kv->key.empty())
      changed_[HashOf(kv->key)] = revision->tombstone;
    if (TextOf(kv->key).starts_with(kBootstrapPrefix)) {
      const std::string name(TextOf(kv->key));
      out_.bootstrap.erase(name);
      if (!revision->tombstone && kv->value.size() <= kBootstrapValueMax &&
          out_.bootstrap.size() < kBootstrapKeysMax) {
        out_.bootstrap[name] = TextOf(kv->value);
      }
    }
    return OkStatus();
  }

  void Hash(ByteSpan bytes) {
    if (options_.status_hash) out_.status_hash = Crc32c(bytes, out_.status_hash);
  }

  const InspectOptions& options_;
  Inspection& out_;
  std::string bucket_;
  bool has_log_ = false;
  std::int64_t scheduled_compact_revision_ = 0;
  std::unordered_set<KeyHash, KeyHashHasher> live_;
  std::unordered_map<KeyHash, bool, KeyHashHasher> changed_;  // deleted by its last change
};

}  // namespace

StatusOr<Inspection> Inspect(const bbolt::Database& database, const InspectOptions& options) {
  Inspection out;
  out.bytes = database.bytes();
  Inspector inspector(options, out);
  RETURN_IF_ERROR(bbolt::Walk(database, inspector, options.stop));
  if (!inspector.has_log()) {
    return DataLossError("{} is a bbolt file, but not etcd's: it has no bucket \"key\"",
                         database.file().path());
  }
  inspector.Finish();
  return out;
}

}  // namespace holdfast::mvcc
