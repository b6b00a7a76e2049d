#include "artifact/manifest.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Manifest Sample() {
  return {.base = "on-demand",
          .node = "n1",
          .created_at = absl::FromUnixSeconds(1753178523),
          .compression = Compression::kZip,
          .file_bytes = 100,
          .snapshot_bytes = 4128,
          .sha256 = "ab",
          .revision = 7,
          .compact_revision = 0,
          .datastore_version = "3.4.23",
          .cluster_id = "c1",
          .member_id = "m1",
          .token_hash = "2bb80d537b1d",
          .proof = Proof::kDigest,
          .upload_owed = "no network",
          .other = {{"author", "somebody"}}};
}

TEST(Manifest, IsAFlatObjectOfStringsAndComesBack) {
  const std::string text = Sample().Encode();
  EXPECT_NE(text.find("\"holdfast-revision\": \"7\""), std::string::npos) << text;
  const Manifest back = Manifest::Decode(text).value();
  EXPECT_EQ(back.Fields(), Sample().Fields());
  EXPECT_EQ(back.created_at, Sample().created_at);
  EXPECT_EQ(back.other.at("author"), "somebody");
  EXPECT_EQ(back.proof, Proof::kDigest);
  EXPECT_EQ(back.upload_owed, "no network");
  Manifest uploaded = back;
  uploaded.upload_owed.clear();
  EXPECT_EQ(uploaded.Encode().find("upload"), std::string::npos);
}

TEST(Manifest, ForeignMetadataAreKeptAndNotOurs) {
  const Manifest m = Manifest::Decode(R"({"team":"a"})").value();
  EXPECT_FALSE(m.ours());
  EXPECT_EQ(m.Fields(), (std::map<std::string, std::string>{{"team", "a"}}));
}

TEST(Manifest, ANameThatIsNotUtf8DoesNoHarm) {
  Manifest manifest = Sample();
  manifest.base = "caf\xe9";
  EXPECT_EQ(Manifest::Decode(manifest.Encode())->base, "caf\xef\xbf\xbd");
}

TEST(Manifest, BrokenOnesAreRefused) {
  for (const char* bad : {"", "[]", "{", R"({"a":1})", R"({"holdfast-revision":"x"})",
                          R"({"holdfast-proof":"x"})", R"({"holdfast-created-at":"now"})"}) {
    EXPECT_TRUE(absl::IsDataLoss(Manifest::Decode(bad).status())) << bad;
  }
}

TEST(Manifest, OfAnotherDatastoreSaysWhichAndWhatIsInIt) {
  Manifest m = Sample();
  m.datastore = "postgres";
  m.datastore_version = "15.18";
  m.cluster_id = m.member_id = "";
  m.live_keys = 12;
  m.content_hash = "00ff";
  m.bootstrap = "salt:sealed";
  const auto fields = m.Fields();
  EXPECT_EQ(fields.at("holdfast-datastore"), "postgres");
  EXPECT_EQ(fields.at("holdfast-datastore-version"), "15.18");
  EXPECT_FALSE(fields.contains("holdfast-etcd-version"));
  const Manifest back = Manifest::Decode(m.Encode()).value();
  EXPECT_EQ(back.Fields(), fields);
  EXPECT_EQ(back.live_keys, 12u);
  EXPECT_EQ(back.bootstrap, "salt:sealed");
}

}  // namespace
}  // namespace holdfast
