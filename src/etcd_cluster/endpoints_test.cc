#include "etcd_cluster/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(EtcdEndpoints, AreHostsWithOneUserForAll) {
  const EtcdEndpoints e =
      ParseEtcdEndpoints(
          Secret("https://root:p%40ss%2cw%zz@h1:2379, http://[::1]:2380/,https://h1:2379"))
          .value();
  ASSERT_EQ(e.list.size(), 2u);  // the third is the first
  EXPECT_EQ(e.list[0].address, "h1:2379");
  EXPECT_TRUE(e.list[0].tls);
  EXPECT_EQ(e.list[1].address, "[::1]:2380");
  EXPECT_FALSE(e.list[1].tls);
  EXPECT_EQ(e.user, "root");
  EXPECT_EQ(e.password.reveal(), "p@ss,w%zz");
  EXPECT_EQ(e.Location(), "https://h1:2379,http://[::1]:2380");
}

TEST(EtcdEndpoints, WhatIsNotUnderstoodIsNamedWithoutTheSecret) {
  for (const char* text :
       {"", "h1:2379", "etcd://h1:2379", "https://", "https://h1", "https://h1:0",
        "https://h1:99999", "https://:2379", "https://h1:2379/db", "https://@h1:2379",
        "https://u:secret,x@h1:2379", "https://u:secret@h1:1,https://u:secret2@h2:1",
        "https://u:secret@h1:1,u:secret@h2:1"}) {
    const Status status = ParseEtcdEndpoints(Secret(text)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  }
}

TEST(ExplainRefusal, SaysWhatToDoWithTheWordsOf34And35) {
  struct Case {
    const char* words;
    StatusCode code;
    const char* hint;
  };
  for (const Case& c :
       {Case{"etcd snapshot: auth: permission denied", StatusCode::kPermissionDenied, "role root"},
        Case{"etcd status: etcdserver: permission denied", StatusCode::kPermissionDenied,
             "role root"},
        Case{"etcd hash: auth: user name is empty", StatusCode::kUnauthenticated, "USER:PASSWORD"},
        Case{"etcd authenticate: etcdserver: authentication failed, invalid user ID or password",
             StatusCode::kUnauthenticated, "USER:PASSWORD"},
        Case{"Ssl handshake failed: error:0A000086:SSL routines::certificate verify failed",
             StatusCode::kUnauthenticated, "--datastore-cafile"},
        Case{"Endpoint read failed", StatusCode::kUnknown, "--datastore-certfile"},
        Case{"Socket closed", StatusCode::kUnknown, "https://"}}) {
    const Status status = ExplainRefusal(MakeStatus(StatusCode::kUnknown, c.words));
    EXPECT_EQ(status.code(), c.code) << c.words;
    EXPECT_EQ(MessageOf(status), c.words);
    EXPECT_THAT(HintOf(status), HasSubstr(c.hint));
  }
  EXPECT_EQ(ExplainRefusal(UnavailableError("x")), UnavailableError("x"));
  EXPECT_TRUE(ExplainRefusal(OkStatus()).ok());
}

}  // namespace
}  // namespace holdfast
