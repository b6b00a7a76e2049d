#include "config/arguments.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using Words = std::vector<std::string>;

std::string ValueOf(const CommandLine& line, std::string_view name) {
  std::string out = "unset";
  for (const auto& use : line.flags) {
    if (use.flag->name == name) out = use.value;
  }
  return out;
}

TEST(Arguments, GosFourFormsAreOne) {
  for (const Words& form : {Words{"-data-dir", "/x"},
                            {"--data-dir", "/x"},
                            {"-data-dir=/x"},
                            {"--data-dir=/x"},
                            {"-d", "/x"},
                            {"-d=/x"}}) {
    Words all = {"server"};
    all.insert(all.end(), form.begin(), form.end());
    EXPECT_EQ(ValueOf(ParseArguments(all).value(), "data-dir"), "/x") << form[0];
  }
}

TEST(Arguments, BooleansTakeAValueOnlyWithEquals) {
  const CommandLine line =
      ParseArguments({"etcd-snapshot", "delete", "--snapshot-compress", "false"}).value();
  EXPECT_EQ(ValueOf(line, "snapshot-compress"), "true");
  EXPECT_EQ(line.positionals, Words{"false"});
  EXPECT_EQ(ValueOf(ParseArguments({"server", "--cluster-reset=false"}).value(), "cluster-reset"),
            "false");
}

TEST(Arguments, FlagsMayStandAnywhere) {
  const CommandLine line = ParseArguments({"--debug", "etcd-snapshot", "--dir", "/s", "delete", "a",
                                           "--etcd-token=t", "b", "--", "-c"})
                               .value();
  EXPECT_EQ(line.command, kSnapshotDelete);
  EXPECT_EQ(line.positionals, (Words{"a", "b", "-c"}));
  EXPECT_EQ(ValueOf(line, "dir"), "/s");
  EXPECT_EQ(ValueOf(line, "debug"), "true");
  EXPECT_EQ(ParseArguments({"-c", "server", "etcd-snapshot", "ls"})->command, kSnapshotList);
}

TEST(Arguments, AliasesAndLettersBelongToTheirCommand) {
  EXPECT_EQ(
      ValueOf(ParseArguments({"etcd-snapshot", "l", "-s", "https://h:1"}).value(), "etcd-server"),
      "https://h:1");
  EXPECT_EQ(ValueOf(ParseArguments({"server", "-s", "https://h:1"}).value(), "server"),
            "https://h:1");
  EXPECT_EQ(
      ValueOf(ParseArguments({"etcd-snapshot", "prune", "--etcd-snapshot-retention", "2"}).value(),
              "snapshot-retention"),
      "2");
}

TEST(Arguments, TheS3CheckTakesTheFlagsOfASave) {
  const auto line = ParseArguments({"etcd-snapshot", "s3-check", "--data-dir=/d", "-s", "https://h:1",
                                    "--etcd-token=t", "--dir=/s", "--s3-bucket=b"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(ValueOf(*line, "etcd-s3-bucket"), "b");
}

TEST(Arguments, WhatIsWrongIsNamedWithASuggestion) {
  const Status flag = ParseArguments({"server", "--etcd-snapshot-retension=5"}).status();
  EXPECT_EQ(MessageOf(flag), "unknown flag --etcd-snapshot-retension for server");
  EXPECT_EQ(HintOf(flag), "Did you mean --etcd-snapshot-retention?");
  EXPECT_EQ(MessageOf(ParseArguments({"sever"}).status()), "unknown command \"sever\"");
  EXPECT_EQ(MessageOf(ParseArguments({"etcd-snapshot", "sav"}).status()),
            "unknown command \"etcd-snapshot sav\"");
  EXPECT_EQ(MessageOf(ParseArguments({"server", "--token"}).status()),
            "flag --token needs a value");
  EXPECT_EQ(MessageOf(ParseArguments({"--nope"}).status()), "unknown flag --nope");
}

TEST(Arguments, HelpAndVersionInTheirForms) {
  EXPECT_TRUE(ParseArguments({})->help);
  EXPECT_TRUE(ParseArguments({"etcd-snapshot"})->help);
  EXPECT_TRUE(ParseArguments({"server", "-h"})->help);
  EXPECT_EQ(ParseArguments({"help", "restore"})->words, Words{"restore"});
  EXPECT_FALSE(ParseArguments({"--version"})->help);
  EXPECT_FALSE(ParseArguments({"-v"})->help);
  EXPECT_EQ(ParseArguments({"version"})->command, kVersion);
}

}  // namespace
}  // namespace holdfast
