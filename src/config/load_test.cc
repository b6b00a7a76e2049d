#include "config/load.h"

#include <gtest/gtest.h>

#include "os/atomic_file.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

class LoadTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(MakeDirectories(fs_, DirName(path), 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(fs_, path, text, 0600).ok());
  }
  StatusOr<Settings> Load(std::vector<std::string> arguments) {
    const LoadContext context{
        .fs = fs_,
        .distribution = *distribution_,
        .environment = [this](const std::string& name) -> std::optional<std::string> {
          const auto it = environment_.find(name);
          if (it == environment_.end()) return std::nullopt;
          return it->second;
        },
        .warn = [this](const std::string& text) { warnings_.push_back(text); }};
    return LoadSettings(ParseArguments(arguments).value(), context);
  }
  std::string Error(std::vector<std::string> arguments) {
    return MessageOf(Load(std::move(arguments)).status());
  }

  testing::MemoryFs fs_;
  std::map<std::string, std::string> environment_;
  std::vector<std::string> warnings_;
  const Distribution* distribution_ = &Distributions()[0];
  const std::string main_ = "/etc/holdfast/config.yaml";
};

TEST_F(LoadTest, CommandLineBeatsDropInsBeatFileBeatsEnvironmentBeatsDefault) {
  EXPECT_EQ(Load({"server"})->Text("etcd-snapshot-retention"), "5");
  environment_["HOLDFAST_ETCD_SNAPSHOT_RETENTION"] = "6";
  EXPECT_EQ(Load({"server"})->Text("etcd-snapshot-retention"), "6");
  Write(main_, "etcd-snapshot-retention: 7\n");
  EXPECT_EQ(Load({"server"})->Text("etcd-snapshot-retention"), "7");
  Write(main_ + ".d/10.yaml", "etcd-snapshot-retention: 8\n");
  Write(main_ + ".d/20.YML", "etcd-snapshot-retention: 9\n");
  Write(main_ + ".d/30.txt", "etcd-snapshot-retention: 10\n");
  const Settings settings = Load({"server"}).value();
  EXPECT_EQ(settings.Text("etcd-snapshot-retention"), "9");
  EXPECT_EQ(settings.Where("etcd-snapshot-retention"), main_ + ".d/20.YML:1");
  EXPECT_EQ(Load({"server", "--etcd-snapshot-retention=11"})->Text("etcd-snapshot-retention"),
            "11");
}

TEST_F(LoadTest, WhatIsOnlyForTheCommandLineIsTakenFromNowhereElse) {
  // A server's own file says whom it joined. Commands ask the server of their host all the same.
  Write(main_, "server: https://first:9345\ntoken: secret\nforce: true\noutput: json\n");
  environment_["HOLDFAST_SERVER"] = environment_["HOLDFAST_TOKEN"] = "x";
  const Settings from_file = Load({"node", "ls"}).value();
  EXPECT_FALSE(from_file.IsSet("server"));
  EXPECT_FALSE(from_file.IsSet("token"));
  EXPECT_EQ(from_file.Text("output"), "table");
  EXPECT_FALSE(Load({"node", "remove", "n"})->Bool("force").value());
  for (const char* command : {"ls", "remove"})
    EXPECT_EQ(Load({"node", command, "--server=https://h:1"})->Text("server"), "https://h:1");
  EXPECT_EQ(Load({"etcd-snapshot", "ls", "--server=https://h:1"})->Text("server"), "https://h:1");
  EXPECT_EQ(Load({"server"})->Text("server"), "https://first:9345");
}

TEST_F(LoadTest, ListsGrowFromFileToCommandLineAndPlusAppends) {
  Write(main_, "tls-san: [a, b]\netcd-arg: x=1\n");
  Write(main_ + ".d/1.yaml", "tls-san+: c\netcd-arg:\n  - y=2\n");
  const Settings settings = Load({"server", "--tls-san=d", "--tls-san", "e"}).value();
  EXPECT_EQ(settings.List("tls-san"), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(settings.List("etcd-arg"), (std::vector<std::string>{"y=2"}));
}

TEST_F(LoadTest, YamlOneOneScalars) {
  Write(main_,
        "etcd-snapshot-compress: yes\netcd-disable-snapshots: off\netcd-snapshot-retention: "
        "0012\ntoken: \"0644\"\nnode-name:\n");
  const Settings settings = Load({"server"}).value();
  EXPECT_TRUE(settings.Bool("etcd-snapshot-compress").value());
  EXPECT_FALSE(settings.Bool("etcd-disable-snapshots").value());
  EXPECT_EQ(settings.Text("etcd-snapshot-retention"), "10");
  EXPECT_EQ(settings.Text("token"), "0644");
  EXPECT_EQ(settings.Text("node-name"), "");
}

TEST_F(LoadTest, WrongValuesNameFileLineAndFlag) {
  Write(main_, "debug: true\netcd-snapshot-retention: many\n");
  EXPECT_EQ(Error({"server"}),
            "invalid etcd-snapshot-retention (" + main_ + ":2): \"many\" is not a whole number");
  Write(main_, "");
  EXPECT_EQ(Error({"server", "--cluster-reset=maybe"}),
            "invalid cluster-reset: \"maybe\" is neither true nor false");
  environment_["HOLDFAST_ETCD_SNAPSHOT_RECONCILE_INTERVAL"] = "10";
  EXPECT_EQ(Error({"server"}),
            "invalid etcd-snapshot-reconcile-interval (HOLDFAST_ETCD_SNAPSHOT_RECONCILE_INTERVAL): "
            "\"10\" is not a "
            "duration like 30s, 5m or 1h30m");
}

TEST_F(LoadTest, BrokenYamlIsAnErrorAMissingFileIsNot) {
  EXPECT_TRUE(Load({"server", "--config", "/none.yaml"}).ok());
  Write(main_, "a: [1\n");
  EXPECT_NE(Error({"server"}).find(main_ + ":"), std::string::npos);
  Write(main_, "- a\n");
  EXPECT_EQ(Error({"server"}), main_ + ": expected keys and values");
  Write(main_, "token: {a: b}\n");
  EXPECT_EQ(Error({"server"}), main_ + ":1: token is a map, expected a value or a list");
}

TEST_F(LoadTest, UnknownKeysAreAnErrorUnderOurNameAndOneWarningUnderOthers) {
  Write(main_, "debug: false\netcd-snapshot-retentoin: 3\n");
  const Status status = Load({"server"}).status();
  EXPECT_EQ(MessageOf(status), main_ + ":2: unknown key \"etcd-snapshot-retentoin\"");
  EXPECT_EQ(HintOf(status), "Did you mean etcd-snapshot-retention?");
  distribution_ = &DistributionFor("/usr/bin/rke2");
  Write("/etc/rancher/rke2/config.yaml", "cni: canal\ndisable: [a]\ntoken: t\n");
  EXPECT_EQ(Load({"etcd-snapshot", "ls"}).status(), OkStatus());
  EXPECT_EQ(warnings_,
            (std::vector<std::string>{
                "2 keys in the configuration are not known here and were skipped: cni, disable"}));
}

TEST_F(LoadTest, KeysOfOtherCommandsAreFine) {
  Write(main_, "token: t\nserver: https://x:1\netcd-snapshot-dir: /s\n");
  EXPECT_EQ(Load({"etcd-snapshot", "save"})->Text("dir"), "/s");
}

TEST_F(LoadTest, TheFlagWinsOverTheEnvironmentForTheConfigFile) {
  Write("/a.yaml", "token: a\n");
  Write("/b.yaml", "token: b\n");
  environment_["HOLDFAST_CONFIG_FILE"] = "/a.yaml";
  EXPECT_EQ(Load({"server"})->Text("token"), "a");
  EXPECT_EQ(Load({"server", "-c", "/b.yaml"})->Text("token"), "b");
}

TEST_F(LoadTest, KnownButMissingFeaturesAreRefusedNotIgnored) {
  Write(main_, "etcd-s3-config-secret: x\n");
  EXPECT_NE(Error({"server"}).find("secrets of Kubernetes cannot be read here"), std::string::npos);
}

TEST_F(LoadTest, KeysOfFlagsThatAreOnlyForTheCommandLineAreOthers) {
  Write(main_, "data-dir: /var/lib/x\ndatastore-endpoint: sqlite:///x\n");
  EXPECT_EQ(Load({"restore", "snapshot"})->Text("data-dir"), "");
  EXPECT_EQ(Load({"restore", "snapshot"})->Text("datastore-endpoint"), "sqlite:///x");
  EXPECT_EQ(Load({"server"})->Text("data-dir"), "/var/lib/x");
}

TEST_F(LoadTest, AwsVariablesAreLookedAtLast) {
  environment_["AWS_ACCESS_KEY_ID"] = "from-aws";
  environment_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(Load({"server"})->Text("etcd-s3-access-key"), "from-aws");
  EXPECT_EQ(Load({"etcd-snapshot", "save"})->Text("etcd-s3-secret-key"), "s");
  environment_["HOLDFAST_ETCD_S3_ACCESS_KEY"] = "ours";
  EXPECT_EQ(Load({"server"})->Text("etcd-s3-access-key"), "ours");
  Write(main_, "etcd-s3-access-key: file\n");
  EXPECT_EQ(Load({"server"})->Text("etcd-s3-access-key"), "file");
}

TEST_F(LoadTest, RestoreTakesNothingFromFilesOrTheServersEnvironment) {
  Write(main_, "data-dir: /var/lib/holdfast\n");
  environment_["HOLDFAST_DATA_DIR"] = "/var/lib/holdfast";
  EXPECT_FALSE(Load({"restore", "x"})->IsSet("data-dir"));
}

}  // namespace
}  // namespace holdfast
