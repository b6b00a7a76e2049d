#include <gtest/gtest.h>

#include "etcd_cluster/etcd_datastore.h"
#include "etcd_cluster/etcd_examiner.h"
#include "testing/fake_etcd.h"
#include "testing/mvcc_builder.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using testing::FakeEtcd;

std::string Image() {
  testing::MvccBuilder builder;
  for (int i = 2; i < 40; ++i) builder.Put(i, "/k" + std::to_string(i), "v");
  builder.bolt.Add("meta", "finishedCompactRev", mvcc::Revision{.main = 5}.Encode());
  builder.bolt.ForcePages("key");
  return builder.bolt.Build();
}

std::shared_ptr<FakeEtcd> Etcd() {
  auto etcd = std::make_shared<FakeEtcd>();
  etcd->snapshot = testing::WithDigest(Image());
  return etcd;
}

// Everything it streams, through its own examiner.
StatusOr<std::string> Take(DatastoreSnapshot& snapshot) {
  ASSIGN_OR_RETURN(std::string bytes, testing::ReadAll(snapshot, 1000));
  RETURN_IF_ERROR(snapshot.examiner().Write(BytesOf(bytes)));
  RETURN_IF_ERROR(snapshot.examiner().Finish());
  return bytes;
}

TEST(EmbeddedEtcd, StreamsWhatEtcdSendsAndSaysWhatIsInIt) {
  auto etcd = Etcd();
  const std::string expected = etcd->snapshot;
  const auto snapshot = EmbeddedEtcd(etcd)->Snapshot({}).value();
  etcd.reset();  // the snapshot keeps it
  EXPECT_EQ(snapshot->size(), expected.size());
  EXPECT_EQ(snapshot->origin().kind, "etcd");
  EXPECT_EQ(snapshot->origin().version, "3.5.16");
  EXPECT_EQ(snapshot->origin().cluster_id, "c1");
  EXPECT_EQ(snapshot->origin().member_id, "a1");
  EXPECT_EQ(Take(*snapshot).value(), expected);
  const SnapshotFacts& facts = snapshot->examiner().facts();
  EXPECT_EQ(facts.sha256, HexOf(Sha256Of(BytesOf(Image()))));
  EXPECT_EQ(facts.bytes, expected.size());
  EXPECT_EQ(facts.revision, 39);
  EXPECT_EQ(facts.compact_revision, 5);
  EXPECT_FALSE(facts.live_keys);
}

TEST(EmbeddedEtcd, AWrongDigestOrNoneIsSaidAtTheEnd) {
  auto etcd = Etcd();
  etcd->snapshot.back() = static_cast<char>(etcd->snapshot.back() ^ 1);
  EXPECT_TRUE(absl::IsDataLoss(Take(*EmbeddedEtcd(etcd)->Snapshot({}).value()).status()));
  etcd->snapshot = Image();
  EXPECT_TRUE(absl::IsDataLoss(Take(*EmbeddedEtcd(etcd)->Snapshot({}).value()).status()));
}

TEST(EmbeddedEtcd, ALearnerIsRefusedInRke2sWords) {
  auto etcd = Etcd();
  etcd->status.is_learner = true;
  const Status status = EmbeddedEtcd(etcd)->Snapshot({}).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(MessageOf(status), "Unable to take snapshot: not supported for learner");
}

TEST(EtcdExaminer, KnowsABboltFileByItsFirstBytes) {
  EXPECT_TRUE(RecognizesEtcdSnapshot(BytesOf(Image()).first(64)));
  EXPECT_FALSE(RecognizesEtcdSnapshot(BytesOf(std::string_view("SQLite format 3"))));
  EXPECT_FALSE(RecognizesEtcdSnapshot({}));
}

}  // namespace
}  // namespace holdfast
