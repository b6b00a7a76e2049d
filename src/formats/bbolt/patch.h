// Changes to a few buckets of a database without rewriting it: new pages are appended behind the old ones and both metas
// point at a new root. Pages that are no longer referenced become free by themselves (etcd computes the free set at open).
// This is all a restore needs, at the cost of a copy of the file.
//
//   Patch patch = Patch::Begin(database)
//   patch.SetBucket("members", {...}); patch.AppendToBucket("key", revision, "");
//   Patch::Result r = patch.Finish();  // write r.tail at r.tail_offset and the metas over pages 0 and 1
//
// Everything is in memory until Finish(); the database is only read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/bbolt/database.h"

namespace holdfast::bbolt {

class Patch {
 public:
  using Entries = std::map<std::string, std::string>;

  // Reads the list of buckets. `database` must outlive the patch. kDataLoss as PageReader::Read; kResourceExhausted above
  // 10,000 buckets.
  static StatusOr<Patch> Begin(const Database& database);

  // All entries of a small bucket; empty if there is no such bucket. kResourceExhausted above 16 MiB or 10,000 entries.
  StatusOr<Entries> ReadBucket(const std::string& name) const;

  // Makes `entries` all that the bucket holds; the bucket is made if it is not there.
  void SetBucket(const std::string& name, const Entries& entries);

  // Adds one entry behind the last one of a bucket of any size, in as many page copies as the tree is deep.
  // The key must be above every key in it: kFailedPrecondition if not, or if there is no such bucket.
  Status AppendToBucket(const std::string& name, std::string_view key, std::string_view value);

  struct Result {
    std::uint64_t tail_offset = 0;    // the old length of the database
    std::vector<std::uint8_t> tail;   // whole pages
    std::vector<std::uint8_t> metas;  // pages 0 and 1
    std::uint64_t bytes() const { return tail_offset + tail.size(); }
  };
  Result Finish() &&;

 private:
  explicit Patch(const Database& database) : database_(&database) {}

  PageId NextPage() const;
  PageId Emit(const Node& node);
  std::string BucketValue(const Node& leaf);

  const Database* database_;
  std::map<std::string, std::string> buckets_;  // name -> value of its element in the root bucket
  std::vector<std::uint8_t> tail_;
};

}  // namespace holdfast::bbolt
