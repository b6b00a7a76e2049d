#include <gtest/gtest.h>

#include "identity/bootstrap_files.h"
#include "identity/certificates.h"
#include "identity/sealed_bootstrap.h"
#include "identity/token_files.h"
#include "keys/seal.h"
#include "os/atomic_file.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

class IdentityTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeDirectories(fs_, layout_.server(), 0700).ok()); }
  void MakeAll() {
    ASSERT_TRUE(EnsureCas(fs_, layout_, options_).ok());
    ASSERT_TRUE(EnsureLeaves(fs_, layout_, options_).ok());
  }
  std::string Read(const std::string& path) {
    return ReadFile(fs_, path, 1 << 20).value_or("none");
  }
  void Write(const std::string& path, std::string_view text, absl::Time time) {
    ASSERT_TRUE(WriteFileAtomically(fs_, path, text, 0600).ok());
    ASSERT_TRUE(fs_.SetModified(path, time).ok());
  }

  FileSystem& fs_ = PosixFileSystem();
  testing::TempDir dir_;
  DataLayout layout_{dir_.path()};
  absl::Time now_ = absl::FromUnixSeconds(1753178523);
  CertificateOptions options_{
      .distribution = "holdfast", .sans = {"node-1", "10.0.0.1"}, .now = now_};
  std::string ca_ = JoinPath(layout_.tls(), "server-ca.crt");
};

TEST_F(IdentityTest, CertificatesAreMadeOnceAndLeavesFollowTheirNeeds) {
  MakeAll();
  const std::string ca = Read(ca_), leaf = Read(JoinPath(layout_.etcd_tls(), "server-client.crt"));
  EXPECT_EQ(fs_.Stat(JoinPath(layout_.etcd_tls(), "server-client.key"))->mode, 0600u);
  EXPECT_EQ(Inspect(Read(JoinPath(layout_.etcd_tls(), "peer-ca.crt")))->common_name,
            "etcd-peer-ca@1753178523");
  MakeAll();
  EXPECT_EQ(Read(ca_), ca);
  EXPECT_EQ(Read(JoinPath(layout_.etcd_tls(), "server-client.crt")), leaf);
  options_.sans.push_back("new.example");
  MakeAll();
  EXPECT_EQ(Read(ca_), ca);
  EXPECT_NE(Read(JoinPath(layout_.etcd_tls(), "server-client.crt")), leaf);
  options_.now += absl::Hours(250 * 24);
  const std::string before = Read(JoinPath(layout_.tls(), "supervisor.crt"));
  MakeAll();
  EXPECT_NE(Read(JoinPath(layout_.tls(), "supervisor.crt")), before);
}

TEST_F(IdentityTest, HalfACaIsRefused) {
  MakeAll();
  EXPECT_TRUE(HasCas(fs_, layout_).value());
  ASSERT_TRUE(fs_.RemoveFile(JoinPath(layout_.tls(), "server-ca.key")).ok());
  EXPECT_FALSE(HasCas(fs_, layout_).value());
  const Status status = EnsureCas(fs_, layout_, options_);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("server-ca.crt is there, but"), std::string::npos);
}

TEST_F(IdentityTest, AKeyThatAKilledFirstRunLeftIsReplaced) {
  ASSERT_TRUE(MakeDirectories(fs_, layout_.tls(), 0700).ok());
  Write(JoinPath(layout_.tls(), "client-ca.key"), "a key", now_);
  EXPECT_EQ(EnsureCas(fs_, layout_, options_).code(), StatusCode::kFailedPrecondition);
  options_.replace_lone_keys = true;
  MakeAll();
  EXPECT_TRUE(HasCas(fs_, layout_).value());
  // The other half is never thrown away.
  ASSERT_TRUE(fs_.RemoveFile(JoinPath(layout_.tls(), "client-ca.key")).ok());
  EXPECT_EQ(EnsureCas(fs_, layout_, options_).code(), StatusCode::kFailedPrecondition);
}

TEST_F(IdentityTest, TokenFilesAreRke2s) {
  MakeAll();
  ASSERT_TRUE(
      WriteTokenFiles(
          fs_, layout_,
          {.distribution = "holdfast", .password = Secret("secret"), .agent_password = Secret()})
          .ok());
  EXPECT_EQ(Read(layout_.token()), "K10" + CaHash(Read(ca_)).value() + "::server:secret\n");
  EXPECT_EQ(Read(layout_.agent_token()), Read(layout_.token()));
  EXPECT_EQ(fs_.Stat(layout_.token())->mode, 0600u);
  EXPECT_EQ(fs_.Stat(layout_.passwd())->mode, 0600u);
  EXPECT_EQ(ServerPassword(fs_, layout_, Secret())->reveal(), "secret");
  EXPECT_EQ(ServerPassword(fs_, layout_, Secret("other"))->reveal(), "other");
  const PasswdFile passwd = ReadPasswdFile(fs_, layout_).value();
  EXPECT_EQ(passwd.RoleOf("server", Secret("secret")), "holdfast:server");
  EXPECT_EQ(passwd.RoleOf("node", Secret("secret")), "holdfast:agent");
  // a token of its own for agents, later
  ASSERT_TRUE(WriteTokenFiles(fs_, layout_,
                              {.distribution = "holdfast",
                               .password = Secret("secret"),
                               .agent_password = Secret("pw2")})
                  .ok());
  EXPECT_TRUE(Read(layout_.agent_token()).ends_with("::node:pw2\n"));
  EXPECT_TRUE(Read(layout_.token()).ends_with("::server:secret\n"));
  // and without it again: the file must not say what is not true any more
  ASSERT_TRUE(
      WriteTokenFiles(
          fs_, layout_,
          {.distribution = "holdfast", .password = Secret("secret"), .agent_password = Secret()})
          .ok());
  EXPECT_EQ(Read(layout_.agent_token()), Read(layout_.token()));
}

TEST_F(IdentityTest, AnAgentsPasswordIsTheirOwnIfItIsNotTheServersOfTheSameFile) {
  EXPECT_TRUE(OwnAgentPassword(fs_, layout_)->empty()) << "no file";
  MakeAll();
  TokenFileOptions tokens{
      .distribution = "holdfast", .password = Secret("s"), .agent_password = {}};
  ASSERT_TRUE(WriteTokenFiles(fs_, layout_, tokens).ok());
  EXPECT_TRUE(OwnAgentPassword(fs_, layout_)->empty());
  tokens.agent_password = Secret("a");
  ASSERT_TRUE(WriteTokenFiles(fs_, layout_, tokens).ok());
  EXPECT_EQ(OwnAgentPassword(fs_, layout_)->reveal(), "a");
}

TEST_F(IdentityTest, TheHashOfTheTokenThatOpensIsThatOfTheKeyThatIsThere) {
  EXPECT_EQ(OpeningTokenHash({}, "aa"), "aa");
  EXPECT_EQ(OpeningTokenHash({"/bootstrap/aa", "/bootstrap/bb"}, "aa"), "aa");
  EXPECT_EQ(OpeningTokenHash({"/bootstrap/bb"}, "aa"), "bb");
}

TEST_F(IdentityTest, WithoutATokenThePasswordIsEmpty) {
  EXPECT_TRUE(ServerPassword(fs_, layout_, Secret())->empty());
}

TEST_F(IdentityTest, DeletedAndOlderFilesComeBackFromTheDatastore) {
  MakeAll();
  const BootstrapData stored = CollectBootstrapFiles(fs_, layout_).value();
  EXPECT_EQ(stored.size(), 11u);  // five CAs with their keys, and the service key
  const std::string key = JoinPath(layout_.etcd_tls(), "peer-ca.key");
  ASSERT_TRUE(fs_.RemoveFile(ca_).ok());
  Write(key, "changed long ago", absl::FromUnixSeconds(1000));
  EXPECT_EQ(ReconcileBootstrapFiles(fs_, layout_, stored)->size(), 2u);
  EXPECT_EQ(CollectBootstrapFiles(fs_, layout_).value(), stored);
  EXPECT_TRUE(ReconcileBootstrapFiles(fs_, layout_, stored)->empty());
}

TEST_F(IdentityTest, NewerFilesOnDiskNeedAPerson) {
  MakeAll();
  const BootstrapData stored = CollectBootstrapFiles(fs_, layout_).value();
  const absl::Time stored_at = stored.at("ServerCA").modified_at;
  Write(ca_, "edited", stored_at + absl::Seconds(4));
  const Status status = ReconcileBootstrapFiles(fs_, layout_, stored).status();
  EXPECT_EQ(MessageOf(status), ca_ +
                                   " newer than datastore and could cause a cluster outage. Remove "
                                   "the file(s) from disk and restart "
                                   "to be recreated from datastore.");
  EXPECT_NE(HintOf(status).find("on disk and of"), std::string::npos);
  EXPECT_EQ(Read(ca_), "edited");
}

TEST_F(IdentityTest, ANewerPasswdFileStays) {
  MakeAll();
  ASSERT_TRUE(
      WriteTokenFiles(
          fs_, layout_,
          {.distribution = "holdfast", .password = Secret("secret"), .agent_password = Secret("a")})
          .ok());
  const BootstrapData stored = CollectBootstrapFiles(fs_, layout_).value();
  const absl::Time stored_at = stored.at("PasswdFile").modified_at;
  ASSERT_TRUE(
      WriteTokenFiles(
          fs_, layout_,
          {.distribution = "holdfast", .password = Secret("secret"), .agent_password = Secret("b")})
          .ok());
  ASSERT_TRUE(fs_.SetModified(layout_.passwd(), stored_at + absl::Seconds(4)).ok());
  const std::string newer = Read(layout_.passwd());
  EXPECT_TRUE(ReconcileBootstrapFiles(fs_, layout_, stored)->empty());
  EXPECT_EQ(Read(layout_.passwd()), newer);
  ASSERT_TRUE(fs_.SetModified(layout_.passwd(), stored_at - absl::Seconds(4)).ok());
  EXPECT_EQ(ReconcileBootstrapFiles(fs_, layout_, stored)->size(), 1u);
  EXPECT_EQ(Read(layout_.passwd()), stored.at("PasswdFile").content);
}

TEST_F(IdentityTest, AResetOverwritesNewerFilesAndKeepsACopy) {
  MakeAll();
  const BootstrapData stored = CollectBootstrapFiles(fs_, layout_).value();
  Write(ca_, "edited", absl::FromUnixSeconds(4000000000));
  const std::string backup = OverwriteBootstrapFiles(fs_, layout_, stored, now_).value();
  EXPECT_EQ(backup, layout_.tls() + "-1753178523");
  EXPECT_EQ(Read(JoinPath(backup, "server-ca.crt")), "edited");
  EXPECT_EQ(CollectBootstrapFiles(fs_, layout_).value(), stored);
  EXPECT_EQ(OverwriteBootstrapFiles(fs_, layout_, stored, now_).value(), "");
}

TEST(OpenBootstrap, RightTokenOpensWrongOneIsToldWhichIsNeeded) {
  const BootstrapData data = {{"ServerCA", {"x", absl::FromUnixSeconds(5)}}};
  const std::string value = Seal(EncodeBootstrap(data), Secret("secret"), SystemRandom()).value();
  const std::map<std::string, std::string> sealed = {{"/bootstrap/2bb80d537b1d", value}};
  EXPECT_EQ(OpenBootstrap(sealed, Secret("secret"), "the snapshot").value(), data);
  const Status wrong = OpenBootstrap(sealed, Secret("other"), "the snapshot").status();
  EXPECT_TRUE(absl::IsUnauthenticated(wrong));
  EXPECT_EQ(MessageOf(wrong),
            "bootstrap data already found and encrypted with different token: the snapshot needs "
            "the token with the "
            "hash 2bb80d537b1d, the token given has the hash d9298a10d1b0");
  EXPECT_FALSE(OpenBootstrap({}, Secret("x"), "s")->has_value());
  EXPECT_FALSE(OpenBootstrap({{"/bootstrap/2bb80d537b1d", "garbage"}}, Secret("secret"), "s").ok());
}

}  // namespace
}  // namespace holdfast
