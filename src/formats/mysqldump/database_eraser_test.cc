#include "formats/mysqldump/database_eraser.h"

#include <gtest/gtest.h>

#include <random>

namespace holdfast::mysqldump {
namespace {

std::string Erased(std::string_view dump, unsigned seed) {
  DatabaseEraser eraser;
  std::mt19937 random(seed);
  std::string out;
  while (!dump.empty()) {
    const std::string_view piece = dump.substr(0, 1 + random() % (seed == 0 ? 1000 : 7));
    const StatusOr<ByteSpan> passed = eraser.Feed(BytesOf(piece));
    if (!passed.ok()) return passed.status().ToString();
    out += TextOf(*passed);
    dump.remove_prefix(piece.size());
  }
  return out += TextOf(eraser.Rest());
}

// `text`, of which what stands in [ and ] is to become spaces.
void Expect(std::string_view text) {
  std::string dump, expected;
  bool erase = false;
  for (const char c : text) {
    if (c == '[' || c == ']') {
      erase = c == '[';
      continue;
    }
    dump.push_back(c);
    expected.push_back(erase ? ' ' : c);
  }
  for (unsigned seed = 0; seed < 20; ++seed) EXPECT_EQ(Erased(dump, seed), expected);
}

TEST(DatabaseEraser, DatabasesThatAreAlteredLoseTheirNames) {
  Expect("ALTER DATABASE [`a``p; p`] CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ;\nDELIMITER ;;\n");
  Expect("alter schema [app] collate x;");
  Expect("/*!50001 ALTER DATABASE */ [`app`]/*!50001 CHARACTER SET x */;");
  Expect(
      "ALTER DATABASE CHARACTER SET x; ALTER DATABASE [`b`] COLLATE y; ALTER DATABASE [`c`] "
      "COMMENT 'x");
}

TEST(DatabaseEraser, TriggersLoseTheirDatabase) {
  for (const std::string_view name : {"[`a`.]`t`", "[a.]t", "[`a`.]t", "[a.]`t`", "[a . ]t", "t",
                                      "`t.x`", "[\"a\".]\"t\"", "[`a.``b`.]`t`"}) {
    std::string text = "/*!50003 CREATE*/ /*!50017 DEFINER=`r.x`@`%`*/ /*!50003 trigger ";
    text.append(name).append(" before insert on ").append(name);
    text += " FOR EACH ROW insert into x.y values (new.on, `a`.`b`) */;;\n";
    Expect("DELIMITER ;;\n" + text + "DELIMITER ;\nALTER DATABASE [`x`] COLLATE y;");
  }
  Expect(
      "CREATE OR REPLACE TRIGGER IF NOT EXISTS [b.]after AFTER UPDATE ON [b.]on FOR EACH ROW SET "
      "@a = 1;");
}

TEST(DatabaseEraser, TheRestStaysAsItIs) {
  Expect("CREATE TABLE `a`.`b` (x int);\nINSERT INTO a.b VALUES ('ALTER DATABASE `a` ',1.5);");
  Expect("DELIMITER ;;\nCREATE PROCEDURE p() begin alter database `a` collate x; end;;\n");
  Expect("CREATE DEFINER=`r`@`%` VIEW trigger AS SELECT a.b FROM `a`.`b`; # ALTER DATABASE `a`\n");
  Expect("ALTER TABLE `a`.`b` ADD x int; -- ALTER DATABASE `a`\nLOCK TABLES `b` WRITE;");
  Expect("ALTER DATABASE `cut off");
}

}  // namespace
}  // namespace holdfast::mysqldump
