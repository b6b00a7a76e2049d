#include "etcd/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/grpc_etcd.h"

namespace holdfast::etcd {
namespace {

namespace pb = ::etcdserverpb;
using testing::GrpcEtcd;
using ::testing::HasSubstr;

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    etcd_.status.set_leader(7);
    etcd_.status.mutable_header()->set_member_id(7);
  }
  void Raise(std::uint64_t member, pb::AlarmType type) {
    auto* alarm = etcd_.alarms.add_alarms();
    alarm->set_memberid(member);
    alarm->set_alarm(type);
  }

  GrpcEtcd etcd_;
  std::unique_ptr<Client> client_ = etcd_.Connect();
};

TEST_F(HealthTest, ALeaderAndNoAlarmAreHealth) { EXPECT_TRUE(CheckHealth(*client_).ok()); }

TEST_F(HealthTest, NoLeaderAndALearnerMayHeal) {
  etcd_.status.set_islearner(true);
  EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_)));
  etcd_.status.set_leader(0);
  EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_)));
}

TEST_F(HealthTest, AlarmsOfOthersDoNotCount) {
  Raise(8, pb::CORRUPT);
  Raise(8, pb::NOSPACE);
  EXPECT_TRUE(CheckHealth(*client_).ok());
}

TEST_F(HealthTest, CorruptionIsWorseThanNoSpaceAndStays) {
  Raise(7, pb::NOSPACE);
  EXPECT_EQ(CheckHealth(*client_).code(), StatusCode::kResourceExhausted);
  Raise(7, pb::CORRUPT);
  EXPECT_EQ(CheckHealthAndCure(*client_).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(etcd_.defragmented, 0);
}

TEST_F(HealthTest, ALeaderThatIsLostMayComeBackAlsoWhereEtcdHasNoCodeForIt) {
  for (const char* words :
       {"etcdserver: request timed out",
        "etcdserver: request timed out, possibly due to previous leader failure",
        "etcdserver: no leader", "etcdserver: leader changed"}) {
    etcd_.alarm_error = words;
    EXPECT_TRUE(absl::IsUnavailable(CheckHealth(*client_))) << words;
    EXPECT_EQ(MessageOf(CheckHealth(*client_)),
              fmt::format("etcd's leader does not answer: etcd alarm list: {}", words));
    EXPECT_TRUE(MayPass(CheckHealth(*client_))) << words;
  }
  etcd_.alarm_error = "etcdserver: something else";
  EXPECT_FALSE(MayPass(CheckHealth(*client_)));
}

TEST_F(HealthTest, OnlyTheAlarmThatIsMeantIsDisarmed) {
  Raise(7, pb::NOSPACE);
  Raise(7, pb::CORRUPT);
  EXPECT_FALSE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kOther}).ok());
  EXPECT_EQ(client_->ListAlarms()->size(), 2u);
  EXPECT_TRUE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kNoSpace}).ok());
  ASSERT_EQ(client_->ListAlarms()->size(), 1u);
  EXPECT_EQ(client_->ListAlarms()->front().type, Alarm::Type::kCorrupt);
  EXPECT_TRUE(client_->DisarmAlarm({.member_id = 7, .type = Alarm::Type::kCorrupt}).ok());
  EXPECT_TRUE(client_->ListAlarms()->empty());
}

TEST_F(HealthTest, NoSpaceIsCuredByDefragmenting) {
  Raise(7, pb::NOSPACE);
  EXPECT_TRUE(CheckHealthAndCure(*client_).ok());
  EXPECT_EQ(etcd_.defragmented, 1);
  EXPECT_TRUE(CheckHealthAndCure(*client_).ok());
  EXPECT_EQ(etcd_.defragmented, 1);
}

}  // namespace
}  // namespace holdfast::etcd
