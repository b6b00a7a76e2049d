#include "ops/rotate_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/bootstrap_files.h"
#include "identity/sealed_bootstrap.h"
#include "keys/pki.h"
#include "keys/seal.h"
#include "os/atomic_file.h"
#include "testing/fake_etcd.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class RotateTokenTest : public ::testing::Test {
 protected:
  RotateTokenTest() {
    EXPECT_TRUE(MakeDirectories(fs_, layout_.tls(), 0700).ok());
    EXPECT_TRUE(MakeDirectories(fs_, layout_.cred(), 0700).ok());
    const KeyPair ca =
        MakeCa({.common_name = "ca", .now = absl::FromUnixSeconds(1'700'000'000)}).value();
    EXPECT_TRUE(
        WriteFileAtomically(fs_, JoinPath(layout_.tls(), "server-ca.crt"), ca.certificate_pem, 0600)
            .ok());
    EXPECT_TRUE(WriteTokenFiles(fs_, layout_, tokens_).ok());
    StoreSealedWith("old");
  }
  void StoreSealedWith(const std::string& password) {
    const auto sealed = Seal(EncodeBootstrap(CollectBootstrapFiles(fs_, layout_).value()),
                             Secret(password), SystemRandom());
    EXPECT_TRUE(etcd_.Put(BootstrapKeyName(Secret(password)), *sealed, 0).ok());
    etcd_.committed = etcd_.keys;
  }
  StatusOr<Secret> Rotate(const std::string& to) {
    return RotateToken(fs_, layout_, SystemRandom(), etcd_, tokens_, Secret(to));
  }
  // What the datastore's data open with.
  bool Opens(const std::string& password) { return Opens(password, etcd_.keys); }
  static bool Opens(const std::string& password,
                    const std::map<std::string, etcd::KeyRecord>& keys) {
    std::map<std::string, std::string> values;
    for (const auto& [key, record] : keys) values[key] = record.value;
    const auto opened = OpenBootstrap(values, Secret(password), "the test");
    return opened.ok() && opened->has_value();
  }
  std::string Token() { return ReadFile(fs_, layout_.token(), 1000).value(); }

  testing::MemoryFs fs_;
  DataLayout layout_{"/data"};
  testing::FakeEtcd etcd_;
  TokenFileOptions tokens_{.distribution = "x", .password = Secret("old"), .agent_password = {}};
};

TEST_F(RotateTokenTest, DatastoreAndFilesHaveTheNewOneAlone) {
  const auto password = Rotate("new");
  ASSERT_TRUE(password.ok()) << password.status();
  EXPECT_EQ(password->reveal(), "new");
  EXPECT_TRUE(Opens("new"));
  EXPECT_FALSE(Opens("old"));
  EXPECT_EQ(etcd_.keys.size(), 1u);
  EXPECT_THAT(Token(), HasSubstr("::server:new"));
  EXPECT_TRUE(ReadPasswdFile(fs_, layout_).ok());
}

// The next start reads the database file, before etcd knows what is in its log.
TEST_F(RotateTokenTest, TheTokenInTheFilesOpensWhatEtcdHasWrittenToItsDatabase) {
  bool seen = false;
  etcd_.refuse = [&](std::string_view) -> Status {
    const bool is_new = Token().find("::server:new") != std::string::npos;
    seen = seen || is_new;
    EXPECT_TRUE(Opens(is_new ? "new" : "old", etcd_.committed));
    return OkStatus();
  };
  ASSERT_TRUE(Rotate("new").ok());
  EXPECT_TRUE(seen);
}

TEST_F(RotateTokenTest, TheWholeTokenMayBeGiven) {
  ASSERT_TRUE(Rotate("K10" + std::string(64, 'a') + "::server:new").ok());
  EXPECT_TRUE(Opens("new"));
}

TEST_F(RotateTokenTest, WhatCannotBeIsRefusedAndChangesNothing) {
  const std::int64_t revision = etcd_.status.revision;
  EXPECT_EQ(Rotate("old").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Rotate("").status().code(), StatusCode::kInvalidArgument);
  tokens_.password = Secret("guess");  // this server's files are not those of the datastore
  EXPECT_EQ(Rotate("new").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(etcd_.status.revision, revision);
  EXPECT_THAT(Token(), HasSubstr("::server:old"));
}

TEST_F(RotateTokenTest, AfterAnEndAnywhereOneOfBothOpensAndAgainFinishesIt) {
  for (int fail_at = 1; fail_at <= 4; ++fail_at) {
    SCOPED_TRACE(fail_at);
    etcd_.keys.clear();
    ASSERT_TRUE(WriteTokenFiles(fs_, layout_, tokens_).ok());
    StoreSealedWith("old");
    int calls = 0;
    etcd_.refuse = [&](std::string_view) -> Status {
      return ++calls == fail_at ? UnavailableError("lost") : OkStatus();
    };
    EXPECT_FALSE(Rotate("new").ok());
    etcd_.refuse = nullptr;
    EXPECT_TRUE(Opens("old"));
    ASSERT_TRUE(Rotate("new").ok());
    EXPECT_TRUE(Opens("new"));
    EXPECT_FALSE(Opens("old"));
    EXPECT_THAT(Token(), HasSubstr("::server:new"));
  }
}

TEST_F(RotateTokenTest, AfterAnEndBeforeTheLastStepTheNewTokenFinishesItToo) {
  int calls = 0;
  etcd_.refuse = [&](std::string_view) -> Status {
    return ++calls == 4 ? UnavailableError("lost") : OkStatus();
  };
  EXPECT_FALSE(Rotate("new").ok());
  etcd_.refuse = nullptr;
  EXPECT_TRUE(Opens("old"));
  EXPECT_TRUE(Opens("new"));
  tokens_.password = Secret("new");  // as the files say, and so the next start
  ASSERT_TRUE(Rotate("new").ok());
  EXPECT_FALSE(Opens("old"));
  EXPECT_TRUE(Opens("new"));
  EXPECT_EQ(Rotate("new").status().code(), StatusCode::kInvalidArgument) << "nothing is left to do";
}

TEST_F(RotateTokenTest, NoOtherTokenOpensAnythingAfterwards) {
  StoreSealedWith("left over");
  ASSERT_TRUE(Rotate("new").ok());
  EXPECT_EQ(etcd_.keys.size(), 1u);
  EXPECT_TRUE(Opens("new"));
}

}  // namespace
}  // namespace holdfast
