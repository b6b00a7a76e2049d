#include "formats/mvcc/live_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "formats/bbolt/walk.h"

namespace holdfast::mvcc {
namespace {

// Two keys with the same 128 bits are taken for one: of a billion, with a chance of 1 in 10^21.
using KeyHash = std::array<std::uint64_t, 2>;
struct Pick {
  std::size_t operator()(const KeyHash& hash) const { return hash[0]; }
};
KeyHash HashOf(ByteSpan key) {
  const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  return {hash.low64, hash.high64};
}

// The entries of the log, one after the other.
class LogVisitor final : public bbolt::Visitor {
 public:
  using Act = std::function<Status(const Revision&, const KeyValue&)>;
  explicit LogVisitor(Act act) : act_(std::move(act)) {}

  Status OnBucket(ByteSpan name) override {
    in_log_ = TextOf(name) == "key";
    seen_ = seen_ || in_log_;
    return OkStatus();
  }
  Status OnEntry(ByteSpan key, ByteSpan value) override {
    if (!in_log_) return OkStatus();
    const auto revision = Revision::Parse(key);
    if (!revision) {
      return DataLossError("bucket \"key\" holds {}, which is no revision",
                           HexOf(key.first(std::min<std::size_t>(key.size(), 32))));
    }
    const auto kv = KeyValue::Parse(value);
    if (!kv)
      return DataLossError("the value of revision {}.{} is damaged", revision->main, revision->sub);
    // An entry without a key is a restore's mark for a revision.
    return kv->key.empty() ? OkStatus() : act_(*revision, *kv);
  }
  bool seen() const { return seen_; }

 private:
  const Act act_;
  bool in_log_ = false, seen_ = false;
};

}  // namespace

Status ForEachLiveKey(const bbolt::Database& database,
                      const std::function<Status(const LiveKey&)>& act, std::stop_token stop) {
  struct Last {
    std::int64_t main = 0, sub = 0;
  };
  std::unordered_map<KeyHash, Last, Pick> live;
  LogVisitor learn([&](const Revision& revision, const KeyValue& kv) {
    if (revision.tombstone) {
      live.erase(HashOf(kv.key));
    } else {
      live[HashOf(kv.key)] = {revision.main, revision.sub};
    }
    return OkStatus();
  });
  RETURN_IF_ERROR(bbolt::Walk(database, learn, stop));
  if (!learn.seen()) {
    return DataLossError("{} is a bbolt file, but not etcd's: it has no bucket \"key\"",
                         database.file().path());
  }
  LogVisitor tell([&](const Revision& revision, const KeyValue& kv) {
    const auto it = live.find(HashOf(kv.key));
    if (revision.tombstone || it == live.end() || it->second.main != revision.main ||
        it->second.sub != revision.sub) {
      return OkStatus();
    }
    return act({.revision = revision, .key = kv.key, .value = kv.value, .lease = kv.lease});
  });
  return bbolt::Walk(database, tell, std::move(stop));
}

}  // namespace holdfast::mvcc
