#include "formats/kine/content.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/checksum.h"
#include "base/endian.h"

namespace holdfast::kine {
namespace {

constexpr std::string_view kCompactKey = "compact_rev_key", kGapPrefix = "gap-";
constexpr std::string_view kBootstrapPrefix = "/bootstrap/";
constexpr std::size_t kBootstrapsMax = 64, kBootstrapBytesMax = 1 * kMiB;

// Two names with the same 128 bits are taken for one.
using NameHash = std::array<std::uint64_t, 2>;
struct Pick {
  std::size_t operator()(const NameHash& hash) const { return hash[0]; }
};

NameHash HashOf(std::string_view name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {hash.low64, hash.high64};
}

}  // namespace

bool IsInternalName(std::string_view name) {
  return name == kCompactKey ||
         (name.starts_with(kGapPrefix) && name.size() > kGapPrefix.size() &&
          name.find_first_not_of("0123456789", kGapPrefix.size()) == std::string_view::npos);
}

struct ContentReader::State {
  struct Version {
    std::int64_t id = 0;
    bool deleted = false;
    Sha256Digest entry{};
  };
  std::unordered_map<NameHash, Version, Pick> newest;
  Content content;
  std::int64_t compact_row = 0;

  // The row being read, if its value matters.
  Version* target = nullptr;
  std::optional<Sha256> hash;
  std::string* bootstrap = nullptr;
};

ContentReader::ContentReader() : state_(std::make_unique<State>()) {}
ContentReader::~ContentReader() = default;

void ContentReader::BeginRow(std::int64_t id, std::string_view name, bool deleted,
                             std::int64_t prev_revision) {
  State& s = *state_;
  s.target = nullptr;
  s.hash.reset();
  s.bootstrap = nullptr;
  s.content.revision = std::max(s.content.revision, id);
  if (name == kCompactKey && id >= s.compact_row) {
    s.compact_row = id;
    s.content.compact_revision = prev_revision;
  }
  if (IsInternalName(name)) return;
  State::Version& version = s.newest[HashOf(name)];
  if (version.id > id) return;
  version.id = id;
  version.deleted = deleted;
  if (name.starts_with(kBootstrapPrefix)) {
    auto& kept = s.content.bootstrap;
    if (deleted) {
      kept.erase(std::string(name));
    } else if (kept.size() < kBootstrapsMax || kept.contains(std::string(name))) {
      s.bootstrap = &kept[std::string(name)];
      s.bootstrap->clear();
    }
  }
  if (deleted) return;
  s.target = &version;
  s.hash.emplace();
  std::array<std::uint8_t, 8> length;
  StoreLittle<std::uint64_t>(length.data(), name.size());
  s.hash->Update(length);
  s.hash->Update(BytesOf(name));
}

void ContentReader::Value(ByteSpan piece) {
  State& s = *state_;
  if (s.hash) s.hash->Update(piece);
  if (s.bootstrap != nullptr && s.bootstrap->size() + piece.size() <= kBootstrapBytesMax)
    s.bootstrap->append(TextOf(piece));
}

void ContentReader::EndRow() {
  State& s = *state_;
  if (s.target != nullptr) s.target->entry = s.hash->Finish();
  s.target = nullptr;
}

Content ContentReader::Finish() {
  State& s = *state_;
  std::vector<Sha256Digest> entries;
  for (const auto& [name, version] : s.newest) {
    if (!version.deleted) entries.push_back(version.entry);
  }
  s.newest.clear();
  std::sort(entries.begin(), entries.end());
  Sha256 hash;
  for (const Sha256Digest& entry : entries) hash.Update(entry);
  s.content.live_keys = entries.size();
  s.content.content_hash = HexOf(hash.Finish());
  return std::move(s.content);
}

}  // namespace holdfast::kine
