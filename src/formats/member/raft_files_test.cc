#include "formats/member/raft_files.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"

namespace holdfast {
namespace {

// The expected bytes and digests are of files that etcdutl 3.5.30 `snapshot restore` wrote for these members.

Membership One() {
  return ParseInitialCluster("n1=http://127.0.0.1:23811", "etcd-cluster").value();
}

Membership Three() {
  return ParseInitialCluster(
             "n1=https://10.0.0.1:2380,n2=https://10.0.0.2:2380,n2=https://"
             "192.0.2.2:2380,n<3>=https://10.0.0.3:2380",
             "tok")
      .value();
}

std::uint64_t IdOf(const Membership& membership, std::string_view name) {
  for (const Member& m : membership.members) {
    if (m.name == name) return m.id;
  }
  return 0;
}

TEST(RaftFiles, WalOfOneMemberIsEtcdutlsByteForByte) {
  EXPECT_EQ(HexOf(BytesOf(EncodeFirstWal(One(), IdOf(One(), "n1")))),
            "040000000000008408041000000000001d00000000000083080110a9b3fc7b1a1408be8cb5eafcda84c40d"
            "10efdff4fbfade97bc18"
            "0000000e00000000000082080510a5fc8fa70c1a040800100000006d000000000000830802109a9094ac0b"
            "1a63080110011801225b"
            "0800100018be8cb5eafcda84c40d224b7b226964223a3937353035303033373339373337343532362c2270"
            "65657255524c73223a5b"
            "22687474703a2f2f3132372e302e302e313a3233383131225d2c226e616d65223a226e31227d0000001700"
            "00000000008108031082"
            "e2d6391a0e080110be8cb5eafcda84c40d1801001c000000000000840805109bbfe5ce051a12080110011a"
            "0c08be8cb5eafcda84c4"
            "0d280000000000");
}

TEST(RaftFiles, SnapshotOfOneMemberIsEtcdutls) {
  EXPECT_EQ(RaftSnapshotName(One()), "0000000000000001-0000000000000001.snap");
  const std::string bytes = EncodeRaftSnapshot(One());
  EXPECT_EQ(bytes.size(), 6487u);
  EXPECT_EQ(HexOf(Sha256Of(BytesOf(bytes))),
            "3f08aae2a0282baa0c2c88cb904c64f15ebe2fe476ba6cd39b10d319ce54bd57");
}

TEST(RaftFiles, ThreeMembersWithTwoUrlsAndAnEscapedName) {
  const std::string wal = EncodeFirstWal(Three(), IdOf(Three(), "n1"));
  EXPECT_EQ(wal.size(), 576u);
  EXPECT_EQ(HexOf(Sha256Of(BytesOf(wal))),
            "93ba71ccdc4650ff3c1c7dd1eef9027fc2025ee73f3e534accf3290a502f002c");
  EXPECT_EQ(RaftSnapshotName(Three()), "0000000000000001-0000000000000003.snap");
  EXPECT_EQ(HexOf(Sha256Of(BytesOf(EncodeRaftSnapshot(Three())))),
            "1af2ef6785930f22c006755b839aae99e84576cb50a3b8e5db381ca0921094d2");
}

}  // namespace
}  // namespace holdfast
