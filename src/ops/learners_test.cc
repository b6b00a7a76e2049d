#include "ops/learners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/fake_etcd.h"

namespace holdfast {
namespace {

using enum LearnerWatch::Verdict;

TEST(LearnerWatch, OnlyOneThatStandsStillIsRemovedAndWarnedAboutBefore) {
  LearnerWatch watch;
  EXPECT_EQ(watch.Judge(1, 10, absl::Seconds(0)), kWait);
  EXPECT_EQ(watch.Judge(1, 10, absl::Seconds(59)), kWait);
  EXPECT_EQ(watch.Judge(1, 10, absl::Seconds(60)), kWarn);
  EXPECT_EQ(watch.Judge(1, 10, absl::Seconds(61)), kWait) << "once";
  EXPECT_EQ(watch.Judge(1, 11, absl::Seconds(299)), kWait) << "progress begins anew";
  EXPECT_EQ(watch.Judge(1, 11, absl::Seconds(500)), kWarn);
  EXPECT_EQ(watch.Judge(1, std::nullopt, absl::Seconds(598)), kWait);
  EXPECT_EQ(watch.Judge(1, std::nullopt, absl::Seconds(599)), kRemove);
  EXPECT_EQ(watch.Judge(2, std::nullopt, absl::Seconds(599)), kWait) << "each for itself";
}

class TendLearnersTest : public ::testing::Test {
 protected:
  void Tend(absl::Duration now) {
    TendLearners(
        etcd_, etcd_.members, [this](const etcd::MemberInfo&) { return learner_; }, watch_, now);
  }
  bool IsLearner() const { return etcd_.members.size() == 2 && etcd_.members[1].is_learner; }
  void SetUp() override {
    etcd_.members = {{.id = 1, .name = "n1-0123abcd"},
                     {.id = 2,
                      .name = "n2-0123abcd",
                      .peer_urls = {"u"},
                      .client_urls = {},
                      .is_learner = true}};
  }

  testing::FakeEtcd etcd_;
  LearnerWatch watch_;
  StatusOr<etcd::MemberStatus> learner_ = etcd::MemberStatus{.raft_applied_index = 7};
};

TEST_F(TendLearnersTest, OneInSyncIsPromoted) {
  Tend(absl::Seconds(0));
  EXPECT_FALSE(IsLearner());
  EXPECT_EQ(etcd_.members.size(), 2u);
}

TEST_F(TendLearnersTest, OneThatDoesNotAnswerIsNeverPromotedAndGoesAfterAWhile) {
  learner_ = UnavailableError("refused");
  Tend(absl::Seconds(0));
  EXPECT_TRUE(IsLearner()) << "a dead voter would count for the quorum";
  Tend(absl::Seconds(299));
  EXPECT_TRUE(IsLearner());
  Tend(absl::Seconds(300));
  EXPECT_EQ(etcd_.members.size(), 1u);
}

TEST_F(TendLearnersTest, OneThatIsBehindGoesOnlyIfItStandsStill) {
  etcd_.refuse = [](std::string_view call) {
    return call == "member promote" ? FailedPreconditionError(
                                          "etcdserver: can only promote a learner member which is "
                                          "in sync with leader")
                                    : OkStatus();
  };
  for (int i = 0; i < 10; ++i) {
    learner_->raft_applied_index += 1;
    Tend(absl::Seconds(200 * i));
    EXPECT_TRUE(IsLearner());
  }
  Tend(absl::Seconds(1800 + 299));
  EXPECT_TRUE(IsLearner());
  Tend(absl::Seconds(1800 + 300));
  EXPECT_EQ(etcd_.members.size(), 1u);
}

TEST_F(TendLearnersTest, OneInSyncWaitsForAnUnhealthyClusterAsLongAsItTakes) {
  etcd_.refuse = [](std::string_view call) {
    return call == "member promote" ? UnavailableError("etcdserver: unhealthy cluster")
                                    : OkStatus();
  };
  for (int i = 0; i < 10; ++i) Tend(absl::Seconds(200 * i));
  EXPECT_TRUE(IsLearner());
  EXPECT_EQ(etcd_.members.size(), 2u);
}

}  // namespace
}  // namespace holdfast
