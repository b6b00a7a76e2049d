#include "postgres/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/system_clock.h"
#include "postgres/tools.h"

namespace holdfast::postgres {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

StatusOr<Endpoint> Parse(const std::string& url, const std::string& ca = "",
                         const std::string& certificate = "", const std::string& key = "") {
  return ParseEndpoint({.fs = PosixFileSystem(),
                        .clock = SystemClock(),
                        .endpoint = Secret(url),
                        .ca_file = ca,
                        .certificate_file = certificate,
                        .key_file = key});
}

TEST(PostgresEndpoint, HasTheDefaultsOfKine) {
  const Endpoint all = Parse("postgres://").value();
  EXPECT_EQ(all.settings.at("user"), "postgres");
  EXPECT_EQ(all.settings.at("password"), "postgres");
  EXPECT_EQ(all.settings.at("host"), "localhost");
  EXPECT_EQ(all.database(), "kubernetes");
  const Endpoint some = Parse("postgresql://k%40ne:p%2Fw@db:5433/MyDB?connect_timeout=3").value();
  EXPECT_EQ(some.settings.at("user"), "k@ne");
  EXPECT_EQ(some.settings.at("password"), "p/w");
  EXPECT_EQ(some.settings.at("port"), "5433");
  EXPECT_EQ(some.settings.at("connect_timeout"), "3");
  EXPECT_EQ(some.database(), "mydb");
  EXPECT_EQ(some.Location(), "postgres://k@ne@db:5433/mydb");
  EXPECT_EQ(Parse("postgres://db?dbname=MyDB")->database(), "MyDB");
  EXPECT_FALSE(Parse("postgres://u@db/x")->settings.contains("password"));
}

TEST(PostgresEndpoint, FilesForTlsMeanVerification) {
  const Endpoint tls = Parse("postgres://db/x", "/ca", "/cert", "/key").value();
  EXPECT_EQ(tls.settings.at("sslmode"), "verify-full");
  EXPECT_EQ(tls.settings.at("sslrootcert"), "/ca");
  EXPECT_EQ(tls.settings.at("sslcert"), "/cert");
  EXPECT_EQ(tls.settings.at("sslkey"), "/key");
  // What the URL says stands.
  EXPECT_EQ(Parse("postgres://db/x?sslmode=require", "/ca")->settings.at("sslmode"), "require");
  EXPECT_FALSE(Parse("postgres://db/x")->settings.contains("sslmode"));
}

TEST(PostgresEndpoint, SecretsGoByEnvironmentOnly) {
  const Endpoint endpoint =
      Parse("postgres://u:hush@h/db?keepalives_idle=7&sslmode=require").value();
  EXPECT_THAT(endpoint.ToolEnvironment(), Contains("PGPASSWORD=hush"));
  EXPECT_THAT(endpoint.ToolEnvironment(), Contains("PGSSLMODE=require"));
  EXPECT_EQ(endpoint.ToolDatabase("it's"), "dbname='it\\'s' keepalives_idle='7'");
  EXPECT_THAT(endpoint.Location(), Not(HasSubstr("hush")));
}

TEST(PostgresEndpoint, AnErrorDoesNotShowThePassword) {
  for (const char* url : {"postgres://u:hush@[h/db", "postgres://u:hush@h/db?nonsense=1",
                          "postgres://u:hush@h/db?sslmode=%zz"}) {
    const Status status = Parse(url).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(status), Not(HasSubstr("hush")));
  }
  EXPECT_THAT(MessageOf(Parse("postgres://h/db?nonsense=1").status()),
              HasSubstr("invalid URI query parameter: \"nonsense\""));
}

TEST(PostgresTools, VersionsAreRead) {
  EXPECT_EQ(MajorOf("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), 15);
  EXPECT_EQ(MajorOf("pg_dump (PostgreSQL) 18beta1"), 18);
  EXPECT_EQ(MajorOf("something else"), 0);
}

TEST(PostgresTools, OneThatIsTooOldIsNamedWithThePackage) {
  const Status status = FindTool(PosixFileSystem(), "pg_dump", 99).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("pg_dump of version 99 or later is needed"));
  EXPECT_THAT(HintOf(status), HasSubstr("postgresql-client-99"));
}

}  // namespace
}  // namespace holdfast::postgres
