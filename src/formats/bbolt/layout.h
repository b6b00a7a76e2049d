// The bytes of a bbolt file, version 2: pages, metas, elements. docs/formats/bbolt.md draws them.
// Source of every number: go.etcd.io/bbolt, internal/common/{page,meta,inode,types}.go (v1.4); the format is the same
// since 1.3. All integers are little-endian here (bbolt writes the machine's order; a big-endian file has another magic
// and is refused).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast::bbolt {

using PageId = std::uint64_t;

inline constexpr std::size_t kPageHeaderBytes = 16;
inline constexpr std::size_t kElementBytes = 16;  // branch and leaf elements alike
inline constexpr std::size_t kMetaBytes = 64;
// u64 root page, u64 sequence; root 0: an inline page follows.
inline constexpr std::size_t kBucketHeaderBytes = 16;
inline constexpr std::uint32_t kMagic = 0xED0CDAED;
inline constexpr std::uint32_t kVersion = 2;
inline constexpr PageId kNoFreelist = ~PageId{0};
inline constexpr std::size_t kPageSizeMin = 1024, kPageSizeMax = 1024u << 14;
// A page with its overflow pages, as far as we read one. A sound file is far below: the longest are those of a large value
// (etcd takes requests of 1.5 MiB) and of the freelist (8 bytes a free page: this much for 128 GiB of them).
inline constexpr std::uint64_t kLogicalPageBytesMax = 256 * kMiB;

enum PageFlag : std::uint16_t {
  kBranchPage = 1,
  kLeafPage = 2,
  kMetaPage = 4,
  kFreelistPage = 0x10,
};
// Flag of a leaf element whose value is a bucket.
inline constexpr std::uint32_t kBucketElement = 1;

struct PageHeader {
  PageId id = 0;
  std::uint16_t flags = 0;
  std::uint16_t count = 0;     // elements
  std::uint32_t overflow = 0;  // further pages that belong to this one, without headers

  static PageHeader Load(const std::uint8_t* p);
  void Store(std::uint8_t* p) const;
};

struct Meta {
  std::uint32_t page_size = 0;
  PageId root = 0;  // page of the root bucket
  std::uint64_t root_sequence = 0;
  PageId freelist = kNoFreelist;
  PageId high_water = 0;  // first page not in use: the database has high_water * page_size bytes
  std::uint64_t txid = 0;

  // From the 64 bytes behind the page header; nullopt if magic, version or checksum are wrong.
  static std::optional<Meta> Load(const std::uint8_t* p);
  void Store(std::uint8_t* p) const;
};

}  // namespace holdfast::bbolt
