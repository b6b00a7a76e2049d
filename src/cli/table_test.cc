#include "cli/table.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCellAndOneMore) {
  EXPECT_EQ(
      FormatTable(
          {{"Name", "Location", "Size"}, {"a", "file:///x", "12345"}, {"long-name", "f", ""}}),
      "Name      Location  Size\n"
      "a         file:///x 12345\n"
      "long-name f         \n");
}

TEST(Table, TheLastColumnIsNotPaddedAndAHeaderMayStandAlone) {
  EXPECT_EQ(FormatTable({{"Name", "Size"}}), "Name Size\n");
  EXPECT_EQ(FormatTable({}), "");
}

TEST(Table, CharactersCountNotBytes) {
  EXPECT_EQ(FormatTable({{"N", "x"}, {"größe", "x"}, {"grosse", "x"}}),
            "N      x\ngröße  x\ngrosse x\n");
}

TEST(JsonToYaml, KeysAreSortedAndListsIndented) {
  EXPECT_EQ(JsonToYaml(R"({"b":[{"z":1,"a":true},{"q":null}],"a":{},"c":[]})"),
            "a: {}\nb:\n  - a: true\n    z: 1\n  - q: ~\nc: []\n");
}

// What a YAML reader makes of a text is that text, whatever it looks like.
TEST(JsonToYaml, ATextStaysAText) {
  for (const char* text : {"",
                           "1",
                           "01",
                           "1.5",
                           "1e3",
                           "0x1F",
                           "0o17",
                           "+.inf",
                           "-.INF",
                           ".nan",
                           "true",
                           "True",
                           "TRUE",
                           "false",
                           "yes",
                           "No",
                           "on",
                           "OFF",
                           "y",
                           "N",
                           "null",
                           "Null",
                           "~",
                           "2025-07-22T10:02:03Z",
                           "2025-07-22",
                           "12:30:45",
                           "- a",
                           "a: b",
                           "a #b",
                           "#",
                           "&a",
                           "*a",
                           "!x",
                           "%x",
                           "@x",
                           "`x",
                           "'",
                           "\"",
                           "{",
                           "[",
                           "}",
                           "]",
                           ",",
                           "?",
                           ": ",
                           "|",
                           ">",
                           " a",
                           "a ",
                           "a\nb",
                           "a\tb",
                           "größe",
                           "名前",
                           "<<",
                           "=",
                           "---",
                           "...",
                           "\x01",
                           "file:///var/x",
                           "-leading",
                           "1_000",
                           "123e45",
                           "0b11"}) {
    const std::string yaml = JsonToYaml(nlohmann::json({{"k", text}}).dump());
    const YAML::Node node = YAML::Load(yaml)["k"];
    EXPECT_EQ(node.Scalar(), text) << yaml;
    // In quotes, or such that no reader takes it for anything else.
    const bool quoted = yaml.starts_with("k: \"") || yaml.starts_with("k: '");
    const std::string t = text;
    const bool ambiguous = t.empty() || t == "0x1F" || t == "0o17" || t == ".nan" || t == "~" ||
                           t == "Null" || t == "True" || t == "TRUE" || t == "No" || t == "OFF" ||
                           t == "N" || t == "y" || t == "+.inf" || t == "-.INF" || t == "<<" ||
                           t == "=" || t == "0b11" || t == "2025-07-22" || t == "1e3" || t == "yes";
    EXPECT_TRUE(quoted || !ambiguous) << yaml;
  }
}

}  // namespace
}  // namespace holdfast
