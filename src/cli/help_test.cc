#include "cli/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "config/flags.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::map<std::string, Command>& Commands() {
  static const std::map<std::string, Command> commands = {
      {"server", kServer},
      {"etcd-snapshot save", kSnapshotSave},
      {"etcd-snapshot ls", kSnapshotList},
      {"etcd-snapshot prune", kSnapshotPrune},
      {"etcd-snapshot delete", kSnapshotDelete},
      {"etcd-snapshot status", kSnapshotStatus},
      {"etcd-snapshot s3-check", kS3Check},
      {"restore", kRestore},
      {"agent", kAgent},
      {"node ls", kNodeList},
      {"node remove", kNodeRemove},
      {"token show", kTokenShow},
      {"token rotate", kTokenRotate},
      {"certificate rotate", kCertificateRotate},
      {"version", kVersion}};
  return commands;
}

TEST(Help, EveryVisibleFlagStandsInTheHelpOfItsCommandsWithDefaultAndVariable) {
  for (const auto& [words, command] : Commands()) {
    const std::string help = HelpText(Split(words, ' '), Distributions()[0]);
    for (const Flag& flag : AllFlags()) {
      if ((flag.commands & command) == 0) continue;
      const std::string head =
          fmt::format("--{}{}{}\n", flag.name, flag.value_name.empty() ? "" : " ", flag.value_name);
      if (flag.hidden) {
        for (const char* before : {"  ", ", "})  // the text may name another command's flag
          EXPECT_THAT(help, Not(HasSubstr(fmt::format("{}--{} ", before, flag.name)))) << words;
        continue;
      }
      if (flag.aliases.empty()) {
        EXPECT_THAT(help, HasSubstr(head)) << words;
      }
      EXPECT_FALSE(flag.help.empty()) << flag.name;
      for (const std::string& alias : Split(flag.aliases, ' ')) {
        if (!alias.empty()) {
          EXPECT_THAT(help, HasSubstr(", --" + alias)) << words;
        }
      }
      const std::string env = flag.EnvironmentName("HOLDFAST_");
      if (!env.empty()) {
        EXPECT_THAT(help, HasSubstr("[$" + env + "]")) << words;
      }
    }
  }
}

TEST(Help, LinesFitATerminalExceptExamples) {
  for (const auto& [words, command] : Commands()) {
    bool in_examples = false;
    for (const std::string& line : Split(HelpText(Split(words, ' '), Distributions()[0]), '\n')) {
      if (line.ends_with(':')) in_examples = line == "Examples:";
      if (!in_examples) {
        EXPECT_LE(line.size(), 110u) << line;
      }
    }
  }
}

TEST(Help, AShortCommandInFull) {
  EXPECT_EQ(HelpText({"version"}, Distributions()[0]),
            "Show the versions of this program and of etcd\n"
            "\n"
            "Usage: holdfast version\n"
            "\n"
            "Flags:\n"
            "      --etcd-binary FILE\n"
            "      The etcd program to run; a name is looked for on PATH (default: etcd) "
            "[$HOLDFAST_ETCD_BINARY]\n");
}

TEST(Help, TheOverviewListsCommandsExitCodesAndTheDistributionsPaths) {
  for (const Distribution& distribution : Distributions()) {
    const std::string overview = HelpText({}, distribution);
    for (const auto& [words, command] : Commands())
      EXPECT_THAT(overview, HasSubstr("\n  " + words + " "));
    EXPECT_THAT(overview, HasSubstr(std::string(distribution.config_file)));
    EXPECT_THAT(overview, HasSubstr(fmt::format("Usage: {} COMMAND", distribution.name)));
    for (int code = 0; code <= 6; ++code)
      EXPECT_THAT(overview, HasSubstr(fmt::format("\n  {} ", code)));
    EXPECT_THAT(HelpText({"server"}, distribution),
                HasSubstr(fmt::format("[${}TOKEN]", distribution.env_prefix)));
  }
  const std::string group = HelpText({"etcd-snapshot"}, Distributions()[0]);
  EXPECT_THAT(group, HasSubstr("  etcd-snapshot save "));
  EXPECT_THAT(group, Not(HasSubstr("  restore ")));
  EXPECT_EQ(HelpText({"etcd-snapshot", "l"}, Distributions()[0]),
            HelpText({"etcd-snapshot", "ls"}, Distributions()[0]));
}

TEST(ManualPage, HasItsPartsAndEveryFlagInRoff) {
  const std::string page = ManualPage(Distributions()[0]);
  for (const char* part :
       {".TH HOLDFAST 8 ", "\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH DESCRIPTION\n",
        "\n.SH COMMANDS\n", "\n.SH FILES\n", "\n.SH EXIT STATUS\n", "\n.SH SEE ALSO\n",
        "\n.SS etcd\\-snapshot save\n"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  for (const Flag& flag : AllFlags()) {
    if (flag.hidden) continue;
    std::string name = "\\-\\-";
    for (char c : flag.name) name += c == '-' ? "\\-" : std::string(1, c);
    EXPECT_THAT(page, HasSubstr(name)) << flag.name;
  }
  for (const std::string& line : Split(page, '\n')) EXPECT_FALSE(line.starts_with("'")) << line;
}

}  // namespace
}  // namespace holdfast
