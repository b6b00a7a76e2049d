#include "artifact/naming.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Naming, NamesAreRke2s) {
  EXPECT_EQ(SnapshotFileName("on-demand", "server-0", 1753178523, Compression::kNone),
            "on-demand-server-0-1753178523");
  EXPECT_EQ(SnapshotFileName("etcd-snapshot", "n.example", 5, Compression::kZip),
            "etcd-snapshot-n.example-5.zip");
}

TEST(Naming, CreationTimeIsTheLastNumber) {
  EXPECT_EQ(CreationTimeInName("on-demand-server-0-1753178523.zip"),
            absl::FromUnixSeconds(1753178523));
  EXPECT_EQ(CreationTimeInName("x-5.zst"), absl::FromUnixSeconds(5));
  for (const char* name : {"backup.db", "x-", "x-5a", "5", "x-99999999999999999999"})
    EXPECT_FALSE(CreationTimeInName(name)) << name;
}

TEST(Naming, BaseAndNodeMatchWithDelimiters) {
  EXPECT_TRUE(IsNamedFor("etcd-snapshot-n1-5.zip", "etcd-snapshot", "n1"));
  EXPECT_FALSE(IsNamedFor("etcd-snapshot-n1-5", "etcd-snap", "n1"));
  EXPECT_FALSE(IsNamedFor("etcd-snapshot-n10-5", "etcd-snapshot", "n1"));
  EXPECT_FALSE(IsNamedFor("etcd-snapshot-n1-5-6", "etcd-snapshot", "n1"));
  EXPECT_FALSE(IsNamedFor("etcd-snapshot-n1-5.part", "etcd-snapshot", "n1"));
}

TEST(Naming, ANodesFilesAreKnownWhateverTheBase) {
  EXPECT_TRUE(IsNamedForNode("etcd-snapshot-n1-5.zip", "n1"));
  EXPECT_TRUE(IsNamedForNode("a-b.c-n-1-5", "n-1"));
  EXPECT_FALSE(IsNamedForNode("etcd-snapshot-n10-5", "n1"));
  EXPECT_FALSE(IsNamedForNode("etcd-snapshot-an1-5", "n1"));
  EXPECT_FALSE(IsNamedForNode("-n1-5", "n1"));
  EXPECT_FALSE(IsNamedForNode("n1-5", "n1"));
  EXPECT_FALSE(IsNamedForNode("etcd-snapshot-n1-5.iso", "n1"));
  EXPECT_FALSE(IsNamedForNode("download", "n1"));
}

TEST(Naming, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* bad : {"", "a/b", "../x", ".", "..", "a\nb"}) {
    EXPECT_FALSE(CheckBaseName(bad).ok()) << bad;
    EXPECT_FALSE(CheckFileName(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckBaseName(".hidden").ok());
  EXPECT_FALSE(CheckBaseName(std::string(300, 'x')).ok());
  EXPECT_TRUE(CheckBaseName("pre upgrade ü+=").ok());
}

}  // namespace
}  // namespace holdfast
