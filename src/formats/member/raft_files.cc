#include "formats/member/raft_files.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/endian.h"
#include "base/text.h"
#include "formats/protobuf_wire.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kTerm = 1;

enum RecordType : std::uint64_t { kMetadata = 1, kEntry = 2, kState = 3, kCrc = 4, kSnapshot = 5 };

// Frames records: u64 length (low 56 bits; top byte 0x80 | padding), the record, zeros up to a multiple of 8.
// Each record carries the CRC-32C of all data so far.
class WalEncoder {
 public:
  WalEncoder() { Frame(ProtobufWriter().Varint(1, kCrc).Varint(2, 0)); }

  void Append(RecordType type, const ProtobufWriter& data) {
    crc_ = Crc32c(BytesOf(data.text()), crc_);
    Frame(ProtobufWriter().Varint(1, type).Varint(2, crc_).Bytes(3, data.text()));
  }

  std::string Take() { return std::move(out_); }

 private:
  void Frame(const ProtobufWriter& record) {
    const std::size_t size = record.text().size(), padding = (8 - size % 8) % 8;
    std::uint8_t length[8];
    StoreLittle(length,
                std::uint64_t{size} | (padding == 0 ? 0 : std::uint64_t{0x80 | padding} << 56));
    out_.append(TextOf(length)).append(record.text()).append(padding, '\0');
  }

  std::string out_;
  std::uint32_t crc_ = 0;
};

ProtobufWriter ConfState(const Membership& membership) {
  ProtobufWriter out;
  for (const Member& member : membership.members) out.Varint(1, member.id);
  out.Varint(5, 0);
  return out;
}

// --- the raft snapshot: the old v2 store as JSON, which holds nothing but the members ---

std::string Node(std::string_view path, std::uint64_t index, std::string_view value,
                 std::string_view children) {
  return fmt::format(
      R"({{"Path":"{}","CreatedIndex":{},"ModifiedIndex":{},"ExpireTime":"0001-01-01T00:00:00Z","Value":{},"Children":{}}})",
      path, index, index, GoJsonString(value), children);
}

std::string PeerUrlsJson(const Member& member) {
  std::vector<std::string> urls;
  for (const std::string& url : member.peer_urls) urls.push_back(GoJsonString(url));
  return "{\"peerURLs\":[" + Join(urls, ",") + "]}";
}

std::string StoreJson(const Membership& membership) {
  constexpr std::size_t kHistoryCapacity = 1000;
  const std::size_t n = membership.members.size();
  // Go writes the children of a node sorted by name; members were created in the order of their ids.
  std::map<std::string, std::string> children;
  std::vector<std::string> events;
  for (std::size_t i = 0; i < n; ++i) {
    const Member& member = membership.members[i];
    const std::string id = MemberIdText(member.id), path = "/0/members/" + id,
                      attributes = path + "/raftAttributes";
    const std::uint64_t index = i + 1;
    children[id] =
        Node(path, index, "",
             "{\"raftAttributes\":" + Node(attributes, index, PeerUrlsJson(member), "null") + "}");
    events.push_back(fmt::format(
        R"({{"action":"create","node":{{"key":"{}","value":{},"modifiedIndex":{},"createdIndex":{}}}}})",
        attributes, GoJsonString(PeerUrlsJson(member)), index, index));
  }
  events.resize(kHistoryCapacity, "null");
  std::vector<std::string> members;
  for (const auto& [id, json] : children) members.push_back("\"" + id + "\":" + json);
  const std::string tree =
      "{\"0\":" +
      Node("/0", 0, "",
           "{\"members\":" + Node("/0/members", 1, "", "{" + Join(members, ",") + "}") + "}") +
      ",\"1\":" + Node("/1", 0, "", "{}") + "}";
  return fmt::format(
      R"({{"Root":{},"WatcherHub":{{"EventHistory":{{"Queue":{{"Events":[{}],"Size":{},"Front":0,"Back":{},"Capacity":{}}},)"
      R"("StartIndex":1,"LastIndex":{}}}}},"CurrentIndex":{},"Stats":{{"getsSuccess":0,"getsFail":0,"setsSuccess":0,)"
      R"("setsFail":0,"deleteSuccess":0,"deleteFail":0,"updateSuccess":0,"updateFail":0,"createSuccess":{},"createFail":0,)"
      R"("compareAndSwapSuccess":0,"compareAndSwapFail":0,"compareAndDeleteSuccess":0,"compareAndDeleteFail":0,)"
      R"("expireCount":0,"watchers":0}},"CurrentVersion":2}})",
      Node("/", 0, "", tree), Join(events, ","), n, n, kHistoryCapacity, n, n, n);
}

}  // namespace

std::string EncodeFirstWal(const Membership& membership, std::uint64_t node) {
  const std::uint64_t commit = FirstRaftIndex(membership);
  WalEncoder wal;
  wal.Append(kMetadata, ProtobufWriter().Varint(1, node).Varint(2, membership.cluster_id));
  wal.Append(kSnapshot, ProtobufWriter().Varint(1, 0).Varint(2, 0));
  for (std::size_t i = 0; i < membership.members.size(); ++i) {
    const Member& member = membership.members[i];
    // raftpb.ConfChange: id, type (0: add), node, context; raftpb.Entry: type (1: conf change), term, index, data.
    const auto change =
        ProtobufWriter().Varint(1, 0).Varint(2, 0).Varint(3, member.id).Bytes(4, member.Json());
    wal.Append(kEntry, ProtobufWriter().Varint(1, 1).Varint(2, kTerm).Varint(3, i + 1).Bytes(
                           4, change.text()));
  }
  // raftpb.HardState: term, vote, commit. Every directory of one cluster says the same vote.
  wal.Append(
      kState,
      ProtobufWriter().Varint(1, kTerm).Varint(2, membership.members.front().id).Varint(3, commit));
  wal.Append(kSnapshot, ProtobufWriter().Varint(1, commit).Varint(2, kTerm).Bytes(
                            3, ConfState(membership).text()));
  return wal.Take();
}

std::optional<WalIdentity> ReadWalIdentity(ByteSpan head) {
  constexpr std::size_t kLengthBytes = 8;
  // The CRC of the segment before comes first, then the metadata.
  for (int record_number = 0; record_number < 2 && head.size() >= kLengthBytes; ++record_number) {
    const std::uint64_t length = LoadLittle<std::uint64_t>(head.data());
    const std::uint64_t size = length & ((std::uint64_t{1} << 56) - 1);
    const std::uint64_t padding = length >> 63 != 0 ? (length >> 56) & 7 : 0;
    head = head.subspan(kLengthBytes);
    if (size == 0 || size > head.size()) return std::nullopt;
    std::uint64_t type = 0;
    ByteSpan data;
    ProtobufReader record(head.first(size));
    while (const auto field = record.Next()) {
      if (field->number == 1) type = field->varint;
      if (field->number == 3) data = field->bytes;
    }
    if (!record.ok()) return std::nullopt;
    if (type == kMetadata) {
      WalIdentity identity;
      ProtobufReader metadata(data);
      while (const auto field = metadata.Next()) {
        if (field->number == 1) identity.member_id = field->varint;
        if (field->number == 2) identity.cluster_id = field->varint;
      }
      if (!metadata.ok() || identity.cluster_id == 0) return std::nullopt;
      return identity;
    }
    head = head.subspan(std::min<std::uint64_t>(size + padding, head.size()));
  }
  return std::nullopt;
}

std::string RaftSnapshotName(const Membership& membership) {
  return fmt::format("{:016x}-{:016x}.snap", kTerm, FirstRaftIndex(membership));
}

std::string EncodeRaftSnapshot(const Membership& membership) {
  // raftpb.Snapshot{data, metadata{conf_state, index, term}} inside snappb.snapshot{crc, data}.
  const auto metadata = ProtobufWriter()
                            .Bytes(1, ConfState(membership).text())
                            .Varint(2, FirstRaftIndex(membership))
                            .Varint(3, kTerm);
  const auto snapshot = ProtobufWriter().Bytes(1, StoreJson(membership)).Bytes(2, metadata.text());
  return ProtobufWriter()
      .Varint(1, Crc32c(BytesOf(snapshot.text())))
      .Bytes(2, snapshot.text())
      .text();
}

}  // namespace holdfast
