#include "etcd/server_config.h"

#include <gtest/gtest.h>

#include "etcd/server_process.h"

namespace holdfast::etcd {
namespace {

ServerConfig Sample() {
  return {.name = "n1-0a1b2c3d",
          .data_dir = "/d/server/db/etcd",
          .node_address = "10.0.0.1",
          .tls_dir = "/d/server/tls/etcd"};
}

bool HasLine(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(ServerConfig, HasRke2sKeysSorted) {
  const std::string text = EncodeServerConfig(Sample()).value();
  for (const char* line :
       {"name: n1-0a1b2c3d", "listen-client-urls: https://127.0.0.1:2379,https://10.0.0.1:2379",
        "advertise-client-urls: https://10.0.0.1:2379",
        "initial-cluster: n1-0a1b2c3d=https://10.0.0.1:2380",
        "listen-metrics-urls: http://127.0.0.1:2381", "auto-compaction-retention: \"1h0m0s\"",
        "  client-cert-auth: true", "  reuse-port: false", "heartbeat-interval: 500",
        "experimental-watch-progress-notify-interval: 5000000000"}) {
    EXPECT_TRUE(HasLine(text, line)) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("force-new-cluster"), std::string::npos);
  EXPECT_LT(text.find("election-timeout"), text.find("heartbeat-interval"));
}

TEST(ServerConfig, AResetListensOnLoopbackOnly) {
  ServerConfig config = Sample();
  config.for_reset = config.force_new_cluster = true;
  const std::string text = EncodeServerConfig(config).value();
  EXPECT_TRUE(HasLine(text, "listen-client-urls: https://127.0.0.1:2379"));
  EXPECT_TRUE(HasLine(text, "listen-peer-urls: https://127.0.0.1:2380"));
  EXPECT_TRUE(HasLine(text, "force-new-cluster: true"));
  EXPECT_TRUE(HasLine(text, "initial-advertise-peer-urls: https://10.0.0.1:2380"));
}

TEST(ServerConfig, AJoiningMemberNamesAllAndListensForAll) {
  ServerConfig config = Sample();
  config.join_cluster = "n0-00000000=https://10.0.0.9:2380,n1-0a1b2c3d=https://10.0.0.1:2380";
  const std::string text = EncodeServerConfig(config).value();
  for (const std::string line :
       {"initial-cluster-state: existing", "initial-advertise-peer-urls: https://10.0.0.1:2380",
        "listen-peer-urls: https://127.0.0.1:2380,https://10.0.0.1:2380"}) {
    EXPECT_TRUE(HasLine(text, line)) << line << "\n" << text;
  }
  EXPECT_TRUE(HasLine(text, "initial-cluster: " + config.join_cluster)) << text;
  EXPECT_TRUE(HasLine(EncodeServerConfig(Sample()).value(), "initial-cluster-state: new"));
}

TEST(ServerConfig, ExtraArgumentsAreTyped) {
  ServerConfig config = Sample();
  config.extra_args = {"quota-backend-bytes=858993459",
                       "--experimental-compaction-sleep-interval=10ms",
                       "log-outputs=[stderr, stdout]",
                       "enable-pprof=true",
                       "auto-compaction-retention=5",
                       "election-timeout=9000",
                       "cipher-suites=[A,B]"};
  const std::string text = EncodeServerConfig(config).value();
  for (const char* line :
       {"quota-backend-bytes: 858993459", "experimental-compaction-sleep-interval: 10000000",
        "enable-pprof: true", "auto-compaction-retention: \"5\"", "election-timeout: 9000"}) {
    EXPECT_TRUE(HasLine(text, line)) << line << "\n" << text;
  }
  EXPECT_NE(text.find("log-outputs:\n  - stderr\n  - stdout"), std::string::npos) << text;
}

TEST(ServerConfig, WrongExtraArgumentsAreRefused) {
  ServerConfig config = Sample();
  config.extra_args = {"enable-pprof"};
  EXPECT_EQ(MessageOf(EncodeServerConfig(config).status()),
            "etcd-arg \"enable-pprof\": expected key=value");
  config.extra_args = {"data-dir=/x"};
  EXPECT_EQ(MessageOf(EncodeServerConfig(config).status()),
            "etcd-arg \"data-dir=/x\": data-dir is set by the server itself");
}

TEST(EtcdLogLine, JsonBecomesTextWithItsLevel) {
  const auto parts = ParseLogLine(
      R"({"level":"warn","ts":1.5,"caller":"x.go:1","msg":"slow fdatasync","took":"1.5s","n":3})");
  EXPECT_EQ(parts.level, LogLineParts::Level::kWarn);
  EXPECT_EQ(parts.text, "slow fdatasync n=3 took=1.5s");
  EXPECT_EQ(ParseLogLine("panic: boom").level, LogLineParts::Level::kError);
  EXPECT_EQ(ParseLogLine("{\"level\":").text, "{\"level\":");
}

TEST(EtcdLogLine, AJsonLineThatIsNoLogLineIsTakenAsItIs) {
  const auto parts = ParseLogLine(R"({"level":5,"msg":{"a":[1]},"x":null})");
  EXPECT_EQ(parts.level, LogLineParts::Level::kInfo);
  EXPECT_EQ(parts.text, R"({"a":[1]} x=null)");
  EXPECT_EQ(ParseLogLine("{}").text, "");
}

}  // namespace
}  // namespace holdfast::etcd
