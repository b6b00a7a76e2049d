#include "mysql/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StatusOr<Endpoint> Parse(std::string text, std::string ca = "") {
  return ParseEndpoint(Secret(std::move(text)), ca, "", "");
}

TEST(Endpoint, TcpAndUnixAndWhatIsLeftOut) {
  const auto full =
      Parse("mysql://kine:p@ss:w/rd@tcp(db.example:3307)/my%2Fdb?parseTime=true&tls=skip-verify");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->Describe(), "kine@tcp(db.example:3307)/my/db");
  EXPECT_EQ(full->password.reveal(), "p@ss:w/rd");
  EXPECT_EQ(full->tls, Tls::kUnverified);

  EXPECT_EQ(Parse("mysql://u:p@unix(/tmp/a.sock)/d")->Describe(), "u@unix(/tmp/a.sock)/d");
  EXPECT_EQ(Parse("mysql://u@tcp([::1]:99)/d")->Describe(), "u@tcp(::1:99)/d");
  EXPECT_EQ(Parse("mysql://u@tcp([::1])/d")->Describe(), "u@tcp(::1:3306)/d");
  EXPECT_EQ(Parse("mysql://u@tcp/")->Describe(), "u@tcp(127.0.0.1:3306)/kubernetes");
  EXPECT_EQ(Parse("mysql://u@/x")->Describe(), "u@tcp(127.0.0.1:3306)/x");
  EXPECT_EQ(Parse("mysql://u@/100%")->database, "100%");
}

TEST(Endpoint, NothingMeansRootAsForKine) {
  EXPECT_EQ(Parse("mysql://")->Describe(), "root@unix(/var/run/mysqld/mysqld.sock)/kubernetes");
  EXPECT_EQ(Parse("mysql://", "/ca.crt")->Describe(), "root@tcp(127.0.0.1:3306)/kubernetes");
}

TEST(Endpoint, ACaMeansVerifiedTlsUnlessItIsSkipped) {
  EXPECT_EQ(Parse("mysql://u@tcp(h)/d")->tls, Tls::kOff);
  EXPECT_EQ(Parse("mysql://u@tcp(h)/d?tls=true")->tls, Tls::kVerified);
  EXPECT_EQ(Parse("mysql://u@tcp(h)/d", "/ca.crt")->tls, Tls::kVerified);
  EXPECT_EQ(Parse("mysql://u@tcp(h)/d?tls=skip-verify", "/ca.crt")->tls, Tls::kUnverified);
}

TEST(Endpoint, WhatIsNotUnderstoodIsRefusedWithoutItsPassword) {
  for (const char* text :
       {"postgres://u:secret@h/d", "mysql://u:secret@tcp(h:1", "mysql://u:secret@tcp(h:0)/d",
        "mysql://u:secret@tcp(h:x)/d", "mysql://u:secret@udp(h)/d", "mysql://u:secret@tcp(h/d",
        "mysql://u:secret@tcp(h)/d?tls=preferred"}) {
    const Status status = Parse(text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(MessageOf(status), Not(HasSubstr("secret")));
  }
  EXPECT_EQ(ParseEndpoint(Secret("mysql://u@/d"), "", "/crt", "").status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::mysql
