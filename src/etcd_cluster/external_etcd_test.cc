// Three members that are fakes; real ones are in tests/system.
#include "etcd_cluster/external_etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "etcd_cluster/etcd_datastore.h"
#include "etcd_cluster/etcd_examiner.h"
#include "stream/memory.h"
#include "testing/fake_clock.h"
#include "testing/fake_etcd.h"
#include "testing/memory_fs.h"
#include "testing/mvcc_builder.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeEtcd;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Map = std::map<std::string, std::string>;

std::string Image(const Map& keys) {
  testing::MvccBuilder builder;
  std::int64_t revision = 1;
  for (const auto& [key, value] : keys) builder.Put(++revision, key, value);
  return builder.bolt.Build();
}

class ExternalEtcdTest : public ::testing::Test {
 protected:
  ExternalEtcdTest() {
    EXPECT_TRUE(fs_.MakeDirectory("/tmp", 0700).ok());
    for (std::uint64_t id = 1; id <= 3; ++id) {
      auto etcd = std::make_shared<FakeEtcd>();
      etcd->status = {.version = "3.5.30",
                      .cluster_id = 0xc1,
                      .member_id = id,
                      .leader = 1,
                      .revision = 100,
                      .raft_index = 5000,
                      .raft_applied_index = 5000};
      etcd->key_hash = {.hash = 7, .compact_revision = 3};
      etcd->members.resize(3);
      // Each streams something else, so that it shows who was asked.
      etcd->snapshot = testing::WithDigest(Image({{"from", std::to_string(id)}}));
      etcds_.push_back(etcd);
    }
  }
  FakeEtcd& n(std::size_t number) { return *etcds_[number - 1]; }
  FakeEtcd& asked() { return n(2); }  // for keys, and to write some: as for a snapshot

  std::unique_ptr<Datastore> Open() {
    return ExternalEtcd({.fs = fs_,
                         .clock = clock_,
                         .connect = [this]() -> StatusOr<std::vector<EtcdMember>> {
                           ++connections_;
                           std::vector<EtcdMember> members;
                           for (std::size_t i = 0; i < etcds_.size(); ++i)
                             members.push_back({"n" + std::to_string(i + 1), etcds_[i]});
                           return members;
                         },
                         .location = "http://all"});
  }
  // The number of the member that gave the snapshot.
  StatusOr<std::string> Giver() {
    ASSIGN_OR_RETURN(const auto snapshot, Open()->Snapshot({}));
    warnings_ = snapshot->origin().warnings;
    ASSIGN_OR_RETURN(const std::string bytes, testing::ReadAll(*snapshot, 4096));
    for (std::size_t i = 0; i < etcds_.size(); ++i) {
      if (etcds_[i]->snapshot == bytes) return "n" + std::to_string(i + 1);
    }
    return NotFoundError("nobody's");
  }
  static void Refuse(FakeEtcd& etcd, const std::string& call, Status status) {
    etcd.refuse = [=](std::string_view asked) { return asked == call ? status : OkStatus(); };
  }

  Status Restore(const Map& keys, bool clean) {
    StringSource payload(testing::WithDigest(Image(keys)), 3000);
    return Open()->Restore(payload, {.clean = clean, .scratch_directory = "/tmp"});
  }
  StatusOr<RestorePlan> Plan(const Map& keys, bool clean) {
    return Open()->CheckRestore({.clean = clean, .scratch_directory = "/tmp", .open_payload = [&] {
                                   return std::make_unique<StringSource>(
                                       testing::WithDigest(Image(keys)));
                                 }});
  }
  Map Keys() {
    Map out;
    for (const auto& [key, record] : asked().keys) out[key] = record.value;
    return out;
  }

  testing::MemoryFs fs_;
  testing::FakeClock clock_;
  std::vector<std::shared_ptr<FakeEtcd>> etcds_;
  std::vector<std::string> warnings_;
  int connections_ = 0;
};

TEST_F(ExternalEtcdTest, ASnapshotComesFromAVoterThatDoesNotLead) {
  EXPECT_EQ(Giver().value(), "n2");
  EXPECT_THAT(warnings_, IsEmpty());
  const DatastoreState state = Open()->Describe().value();
  EXPECT_EQ(state.kind, "etcd");
  EXPECT_EQ(state.location, "http://all");
  EXPECT_EQ(state.member_id, "2");
  EXPECT_TRUE(state.empty);
  EXPECT_THAT(state.warnings, IsEmpty());
}

TEST_F(ExternalEtcdTest, OneThatIsDownOrALearnerOrHasAnAlarmIsNamed) {
  Refuse(n(2), "status", UnavailableError("connection refused"));
  EXPECT_EQ(Giver().value(), "n3");
  EXPECT_THAT(warnings_, ElementsAre("n2: does not answer: connection refused"));
  n(3).status.is_learner = true;
  n(1).alarms = {{.member_id = 1, .type = etcd::Alarm::Type::kNoSpace}};
  EXPECT_EQ(Giver().value(), "n1");
  EXPECT_THAT(warnings_, Contains("n3: is a learner: no snapshots are taken of it"));
  EXPECT_THAT(warnings_, Contains(HasSubstr("n1: alarm NOSPACE")));
  n(1).alarms[0].type = etcd::Alarm::Type::kCorrupt;
  EXPECT_THAT(MessageOf(Giver().status()), HasSubstr("n1: alarm CORRUPT"));
}

TEST_F(ExternalEtcdTest, OneThatLagsOrIsCutOffIsTheLastToBeAsked) {
  n(2).status.raft_applied_index = 3999;
  n(2).status.revision = 5;
  EXPECT_EQ(Giver().value(), "n3");
  EXPECT_THAT(warnings_, ElementsAre("n2: lags: it has applied 3999 of 5000 raft entries"));
  n(3).status.leader = 0;
  EXPECT_EQ(Giver().value(), "n1");
  EXPECT_THAT(warnings_, Contains(HasSubstr("n3: is cut off from the others")));
  n(1).status.is_learner = true;
  EXPECT_EQ(Giver().value(), "n2");
  // Its old revision is not what the others are compared at.
  EXPECT_THAT(n(2).calls, Not(Contains("hash")));
}

TEST_F(ExternalEtcdTest, WithoutALeaderThereIsStillASnapshot) {
  for (const auto& etcd : etcds_) {
    etcd->status.leader = 0;
    Refuse(*etcd, "alarm list", InternalError("must not be asked: it needs a leader"));
  }
  EXPECT_EQ(Giver().value(), "n1");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("no leader")));
}

TEST_F(ExternalEtcdTest, WhoseKeysDifferFromTheMajoritysIsNotAsked) {
  n(2).key_hash.hash = 8;
  EXPECT_EQ(Giver().value(), "n3");
  EXPECT_THAT(warnings_,
              ElementsAre(AllOf(HasSubstr("n2: its keys differ"), HasSubstr("00000008"))));
  EXPECT_THAT(Open()->Describe()->warnings, ElementsAre(HasSubstr("n2: its keys differ")));
  n(3).key_hash.hash = 9;
  const Status status = Giver().status();
  EXPECT_THAT(MessageOf(status), HasSubstr("no majority says who is right"));
  EXPECT_THAT(HintOf(status), HasSubstr("name only that member"));
  etcds_.resize(1);  // as the hint says
  EXPECT_EQ(Giver().value(), "n1");
}

TEST_F(ExternalEtcdTest, ADifferenceThatPassesIsNone) {
  int asked = 0;
  n(2).refuse = [&](std::string_view call) {
    if (call == "hash") n(2).key_hash.compact_revision = ++asked == 1 ? 2 : 3;  // it compacts
    return OkStatus();
  };
  EXPECT_EQ(Giver().value(), "n2");
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(ExternalEtcdTest, ComparingIsNotDoneForEveryLook) {
  const auto datastore = Open();
  const auto hashes = [&] { return std::count(n(3).calls.begin(), n(3).calls.end(), "hash"); };
  EXPECT_TRUE(datastore->Describe().ok());
  EXPECT_TRUE(datastore->Describe().ok());
  EXPECT_EQ(hashes(), 1);
  clock_.Advance(absl::Minutes(10));
  EXPECT_TRUE(datastore->Describe().ok());
  EXPECT_EQ(hashes(), 2);
  EXPECT_TRUE(datastore->Snapshot({}).ok());
  EXPECT_EQ(hashes(), 3);
}

TEST_F(ExternalEtcdTest, EachLookConnectsAnewAndKeepsTheComparison) {
  const auto datastore = Open();
  EXPECT_TRUE(datastore->Describe().ok());
  // As if it came back as another process, with another certificate: the old client is of no use.
  etcds_[1] = std::make_shared<FakeEtcd>(n(2));
  etcds_[1]->calls.clear();
  EXPECT_EQ(datastore->Describe()->member_id, "2");
  EXPECT_THAT(n(2).calls, Contains("status"));
  EXPECT_THAT(n(2).calls, Not(Contains("hash")));
  EXPECT_EQ(connections_, 2);
  // A look that failed does not make it forget, either.
  for (const auto& etcd : etcds_) Refuse(*etcd, "status", UnavailableError("refused"));
  EXPECT_TRUE(absl::IsUnavailable(datastore->Describe().status()));
  for (const auto& etcd : etcds_) etcd->refuse = nullptr;
  EXPECT_TRUE(datastore->Describe().ok());
  EXPECT_THAT(n(2).calls, Not(Contains("hash")));
}

TEST_F(ExternalEtcdTest, MissingRightsAreSaidBeforeASnapshotIsTried) {
  const Status denied = PermissionDeniedError("etcd hash: etcdserver: permission denied");
  for (const auto& etcd : etcds_) Refuse(*etcd, "hash", denied);
  EXPECT_TRUE(absl::IsPermissionDenied(Open()->Describe().status()));
  EXPECT_TRUE(absl::IsPermissionDenied(Giver().status()));
  etcds_.resize(1);
  const Status status = Open()->Describe().status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(HintOf(status), HasSubstr("role root"));
}

TEST_F(ExternalEtcdTest, NobodyThereAndTwoClustersAreErrors) {
  n(3).status.cluster_id = 0xc2;
  EXPECT_THAT(MessageOf(Open()->Describe().status()), HasSubstr("different etcd clusters"));
  for (const auto& etcd : etcds_) Refuse(*etcd, "status", UnavailableError("refused"));
  EXPECT_EQ(MessageOf(Open()->Describe().status()),
            "no etcd member can be asked: n1: refused; n2: refused; n3: refused");
}

TEST_F(ExternalEtcdTest, RestoreWritesWhatIsMissingIntoAnEmptyEtcd) {
  EXPECT_THAT(Plan({{"a", "1"}, {"b", "2"}}, false)->lines, Contains(HasSubstr("2 are created")));
  EXPECT_TRUE(Plan({}, false)->goes_on_running);
  ASSERT_TRUE(Restore({{"a", "1"}, {"b", "2"}}, false).ok());
  EXPECT_EQ(Keys(), (Map{{"a", "1"}, {"b", "2"}}));
  EXPECT_THAT(fs_.List("/tmp").value(), IsEmpty());
}

TEST_F(ExternalEtcdTest, WithoutCleanNothingThatIsThereChanges) {
  ASSERT_TRUE(asked().Apply({{"a", "old"}, {"x", "mine"}, {"same", "s"}}).ok());
  const Map before = Keys();
  const Map snapshot = {{"a", "1"}, {"b", "2"}, {"same", "s"}};
  const Status status = Restore(snapshot, false);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("of its keys 1 have other values than in the snapshot, "
                                           "and 1 are not in it"));
  EXPECT_FALSE(Plan(snapshot, false).ok());
  EXPECT_EQ(Keys(), before);
  EXPECT_THAT(Plan(snapshot, true)->lines,
              Contains("Keys: 1 are created, 1 changed, 1 deleted (not in the snapshot); 1 are as "
                       "in the snapshot already."));
  EXPECT_EQ(Keys(), before);
  asked().transactions.clear();
  ASSERT_TRUE(Restore(snapshot, true).ok());
  EXPECT_EQ(Keys(), snapshot);
  EXPECT_THAT(asked().transactions, ElementsAre(3));  // what was as it should be is not written
}

TEST_F(ExternalEtcdTest, WhatBrokeOffIsContinued) {
  Map snapshot;
  for (int i = 0; i < 300; ++i) snapshot[fmt::format("k{:03}", i)] = "v";
  int transactions = 0;
  asked().refuse = [&](std::string_view call) {
    return call == "txn" && ++transactions == 2 ? UnavailableError("leader changed") : OkStatus();
  };
  const Status status = Restore(snapshot, false);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("128 keys are written or deleted"));
  EXPECT_EQ(Keys().size(), 128u);
  ASSERT_TRUE(Restore(snapshot, false).ok());
  EXPECT_EQ(Keys(), snapshot);
}

TEST_F(ExternalEtcdTest, BatchesFitIntoEtcdsRequests) {
  Map snapshot;
  for (int i = 0; i < 7; ++i) snapshot[fmt::format("k{}", i)] = std::string(500'000, 'v');
  ASSERT_TRUE(Restore(snapshot, false).ok());
  EXPECT_THAT(asked().transactions, ElementsAre(3, 3, 1));
}

TEST_F(ExternalEtcdTest, SomebodyWhoWritesMeanwhileIsNoticed) {
  asked().refuse = [&](std::string_view call) {
    if (call == "txn") asked().keys["other"] = {.key = "other", .value = "x"};
    return OkStatus();
  };
  const Status status = Restore({{"a", "1"}}, false);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("1 are not in the snapshot: somebody else writes"));
}

TEST_F(ExternalEtcdTest, TheCompactionNoteIsNobodysContent) {
  ASSERT_TRUE(asked().Put("compact_rev_key", "77", 0).ok());
  ASSERT_TRUE(Restore({{"a", "1"}, {"compact_rev_key", "5"}}, false).ok());
  EXPECT_EQ(Keys(), (Map{{"a", "1"}, {"compact_rev_key", "77"}}));
}

TEST_F(ExternalEtcdTest, ADamagedPayloadChangesNothing) {
  std::string payload = testing::WithDigest(Image({{"a", "1"}}));
  payload[5000] = static_cast<char>(payload[5000] ^ 1);
  StringSource source(payload);
  EXPECT_TRUE(absl::IsDataLoss(Open()->Restore(source, {.scratch_directory = "/tmp"})));
  EXPECT_THAT(Keys(), IsEmpty());
}

TEST_F(ExternalEtcdTest, AnAlarmRefusesARestoreBeforeItBegins) {
  asked().alarms = {{.member_id = 2, .type = etcd::Alarm::Type::kNoSpace}};
  EXPECT_THAT(MessageOf(Plan({{"a", "1"}}, false).status()), HasSubstr("alarms"));
}

TEST_F(ExternalEtcdTest, KeysAreReadFromASoundMember) {
  const Status never = InternalError("must not be asked");
  for (const auto& etcd : etcds_) Refuse(*etcd, "range", never);
  n(3).refuse = nullptr;
  n(3).keys["k"] = {.key = "k", .value = "v"};
  std::vector<std::string> values;
  const auto take = [&](const KeyRow& row) {
    values.push_back(row.value);
    return OkStatus();
  };
  n(2).key_hash.hash = 8;
  EXPECT_TRUE(Open()->ReadRows(Rows::kLive, take, {}).ok());
  EXPECT_TRUE(Open()->ReadContent({}).ok());
  // Nor from one of which nothing is known.
  n(2).key_hash.hash = 7;
  n(2).refuse = [&](std::string_view call) {
    return call == "hash"    ? DeadlineExceededError("it hangs")
           : call == "range" ? never
                             : OkStatus();
  };
  EXPECT_TRUE(Open()->ReadRows(Rows::kLive, take, {}).ok());
  EXPECT_THAT(values, ElementsAre("v", "v"));
  EXPECT_EQ(Giver().value(), "n3");
  EXPECT_THAT(warnings_, ElementsAre("n2: its keys were not compared: it hangs"));
}

TEST_F(ExternalEtcdTest, NothingIsWrittenWhileAMemberIsCorrupt) {
  ASSERT_TRUE(n(1).Apply({{"a", "1"}}).ok());  // as in the snapshot, by its corruption
  n(1).transactions.clear();
  n(1).key_hash.hash = 8;
  const auto expect_refusal = [&](const Status& status, std::string_view words) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(MessageOf(status), HasSubstr(words));
    EXPECT_THAT(HintOf(status), HasSubstr("member remove"));
  };
  const Map snapshot = {{"a", "1"}};
  expect_refusal(Restore(snapshot, true), "n1: its keys differ");
  expect_refusal(Plan(snapshot, true).status(), "n1: its keys differ");
  expect_refusal(Open()->WriteRows(Rows::kLive).status(), "n1: its keys differ");
  n(2).key_hash.hash = 9;
  expect_refusal(Restore(snapshot, true), "no majority");
  EXPECT_THAT(MessageOf(Open()->ReadContent({}).status()), HasSubstr("no majority"));
  for (const auto& etcd : etcds_) EXPECT_THAT(etcd->transactions, IsEmpty());
}

TEST_F(ExternalEtcdTest, ContentIsThatOfTheSnapshotAfterwards) {
  Map snapshot;
  for (int i = 0; i < 2000; ++i) snapshot[fmt::format("k{}", i)] = std::to_string(i);
  snapshot[std::string("\0\xff", 2)] = "";
  snapshot["compact_rev_key"] = "5";
  const auto examiner = MakeDeepEtcdExaminer(fs_, "/tmp", {});
  ASSERT_TRUE(examiner->Write(BytesOf(testing::WithDigest(Image(snapshot)))).ok());
  ASSERT_TRUE(examiner->Finish().ok());
  EXPECT_EQ(examiner->facts().live_keys, 2001u);
  EXPECT_EQ(examiner->facts().revision, 2003);
  ASSERT_TRUE(Restore(snapshot, false).ok());
  const SnapshotFacts now = Open()->ReadContent({}).value();
  EXPECT_EQ(now.content_hash, examiner->facts().content_hash);
  EXPECT_EQ(now.live_keys, 2001u);
}

TEST_F(ExternalEtcdTest, RowsGoFromOneEtcdToAnother) {
  ASSERT_TRUE(asked().Apply({{"a", "1"}, {"b", ""}, {"compact_rev_key", "9"}}).ok());
  const auto to = std::make_shared<FakeEtcd>();
  const auto writer = EmbeddedEtcd(to)->WriteRows(Rows::kLive).value();
  const auto write = [&](const KeyRow& row) { return writer->Write(row); };
  ASSERT_TRUE(Open()->ReadRows(Rows::kLive, write, {}).ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(to->keys.size(), 2u);
  EXPECT_EQ(to->keys["a"].value, "1");
  EXPECT_EQ(EmbeddedEtcd(to)->ReadContent({})->content_hash, Open()->ReadContent({})->content_hash);
  EXPECT_EQ(EmbeddedEtcd(to)->WriteRows(Rows::kLive).status().code(),
            StatusCode::kFailedPrecondition);  // not empty
  EXPECT_EQ(Open()->ReadRows(Rows::kAll, write, {}).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace holdfast
