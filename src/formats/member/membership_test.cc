#include "formats/member/membership.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Membership, IdsAreEtcds) {
  const Membership m = ParseInitialCluster("n1=http://127.0.0.1:23811", "etcd-cluster").value();
  EXPECT_EQ(MemberIdText(m.members[0].id), "d8812d7cd4d463e");
  EXPECT_EQ(MemberIdText(m.cluster_id), "18785ef7af7d2fef");
  EXPECT_EQ(m.ConfStateJson(), R"({"voters":[975050037397374526],"auto_leave":false})");
}

TEST(Membership, WhatEtcdWouldNotTakeIsRefused) {
  const auto message = [](std::string_view text) {
    return MessageOf(ParseInitialCluster(text, "").status());
  };
  EXPECT_EQ(message(""), "initial cluster \"\": expected NAME=URL, found \"\"");
  EXPECT_EQ(message("n1"), "initial cluster \"n1\": expected NAME=URL, found \"n1\"");
  EXPECT_EQ(message("n1=ftp://a:1"),
            "initial cluster: URL scheme must be http, https, unix, or unixs: ftp://a:1");
  EXPECT_EQ(message("n1=http://a:1/x"),
            "initial cluster: URL must not contain a path: http://a:1/x");
  EXPECT_EQ(message("n1=http://a"),
            "initial cluster: URL address does not have the form \"host:port\": http://a");
  EXPECT_EQ(message("a=http://h:1,b=http://h:1"),
            "initial cluster: a and b have the same peer URLs");
}

TEST(GoJsonString, EscapesWhatGoEscapes) {
  EXPECT_EQ(GoJsonString("a\"b\\c\n\x01<&>é"), "\"a\\\"b\\\\c\\n\\u0001\\u003c\\u0026\\u003eé\"");
}

}  // namespace
}  // namespace holdfast
