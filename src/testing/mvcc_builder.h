// An etcd database in memory: writes and deletes at chosen revisions, with the small buckets a real one has.
#pragma once

#include <string>

#include "base/checksum.h"
#include "formats/mvcc/revision.h"
#include "formats/protobuf_wire.h"
#include "testing/bbolt_builder.h"

namespace holdfast::testing {

class MvccBuilder {
 public:
  BboltBuilder bolt;

  MvccBuilder() {
    for (const char* name : {"alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease",
                             "members", "members_removed", "meta"}) {
      bolt.AddBucket(name);
    }
    bolt.Add("meta", "consistent_index", std::string("\0\0\0\0\0\0\0\x2a", 8));
    bolt.Add("meta", "confState", R"({"voters":[77],"auto_leave":false})");
    bolt.Add("meta", "term", std::string("\0\0\0\0\0\0\0\x09", 8));
    bolt.Add("members", "4d", R"({"id":77,"peerURLs":["http://old:2380"],"name":"old"})");
  }

  void Put(std::int64_t revision, const std::string& key, const std::string& value) {
    const auto n = static_cast<std::uint64_t>(revision);
    bolt.Add("key", mvcc::Revision{.main = revision}.Encode(),
             ProtobufWriter()
                 .Bytes(1, key)
                 .Varint(2, n)
                 .Varint(3, n)
                 .Varint(4, 1)
                 .Bytes(5, value)
                 .text());
  }
  void Delete(std::int64_t revision, const std::string& key) {
    bolt.Add("key", mvcc::Revision{.main = revision, .tombstone = true}.Encode(),
             ProtobufWriter().Bytes(1, key).text());
  }
};

// A database with its digest behind it: as etcd streams it, and as `etcdctl snapshot save` stores it.
inline std::string WithDigest(std::string image) {
  const Sha256Digest digest = Sha256Of(BytesOf(image));
  return image.append(TextOf(digest));
}

}  // namespace holdfast::testing
