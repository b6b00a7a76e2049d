#include "formats/mysqldump/dump_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace holdfast::mysqldump {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kBegin =
    "/*M!999999\\- enable the sandbox mode */ \n"
    "-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
    "-- Host: 127.0.0.1    Database: it's\n\n"
    "/*!40101 SET NAMES utf8mb4 */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\n";
constexpr std::string_view kTable =
    "DROP TABLE IF EXISTS `kine`;\nCREATE TABLE `kine` (\n"
    "  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n"
    "  `name` varchar(630) CHARACTER SET ascii COLLATE ascii_general_ci DEFAULT NULL,\n"
    "  `created` int(11) DEFAULT NULL,\n  `deleted` int(11) DEFAULT NULL,\n"
    "  `create_revision` bigint(20) unsigned DEFAULT NULL,\n"
    "  `prev_revision` bigint(20) unsigned DEFAULT NULL,\n  `lease` int(11) DEFAULT NULL,\n"
    "  `value` mediumblob DEFAULT NULL,\n  `old_value` mediumblob DEFAULT NULL,\n"
    "  PRIMARY KEY (`id`),\n"
    "  UNIQUE KEY `kine_name_prev_revision_uindex` (`name`,`prev_revision`)\n"
    ") ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COMMENT='a ) b';\n"
    "LOCK TABLES `kine` WRITE;\n/*!40000 ALTER TABLE `kine` DISABLE KEYS */;\n";
constexpr std::string_view kEnd =
    "/*!40000 ALTER TABLE `kine` ENABLE KEYS */;\nUNLOCK TABLES;\n"
    "/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\n-- Dump completed on 2026-11-23  2:57:49\n";

std::string Dump(std::string_view rows) {
  std::string dump{kBegin};
  dump += kTable;
  dump += rows;
  dump += kEnd;
  return dump;
}

StatusOr<DumpFacts> Read(std::string_view dump, unsigned seed = 0) {
  DumpReader reader;
  std::mt19937 random(seed);
  while (!dump.empty()) {
    const std::size_t size = seed == 0 ? dump.size() : 1 + random() % 20;
    const std::string_view piece = dump.substr(0, size);
    RETURN_IF_ERROR(reader.Feed(BytesOf(piece)));
    dump.remove_prefix(piece.size());
  }
  return reader.Finish();
}

// What the content reader says of these rows, given without any dump.
struct Row {
  std::int64_t id;
  std::string name;
  bool deleted;
  std::int64_t prev_revision;
  std::string value;
};
kine::Content ContentOf(const std::vector<Row>& rows) {
  kine::ContentReader reader;
  for (const Row& row : rows) {
    reader.BeginRow(row.id, row.name, row.deleted, row.prev_revision);
    reader.Value(BytesOf(row.value));
    reader.EndRow();
  }
  return reader.Finish();
}

TEST(DumpReader, RowsOfKineGiveTheirContent) {
  const std::string nasty("\0\xff\n\r\x1a'\"\\'\x80", 10);
  const std::string rows =
      "INSERT INTO `kine` VALUES\n(1,'compact_rev_key',1,0,0,7,0,'',NULL),\n"
      "(2,'/a',1,0,0,0,0,'\\0\xff\\n\\r\\Z\\'\\\"\\\\''\x80',NULL),\n"
      "(3,'/b\\'\\\"x',1,0,1,1,0,'hello\\nw','');\n"
      "INSERT INTO `kine` VALUES "
      "(4,'/gone',0,1,0,0,0,NULL,'x'),(-5,'/odd',0,0,0,NULL,0,'',NULL);\n";
  const kine::Content expected = ContentOf({{1, "compact_rev_key", false, 7, ""},
                                            {2, "/a", false, 0, nasty},
                                            {3, "/b'\"x", false, 1, "hello\nw"},
                                            {4, "/gone", true, 0, ""},
                                            {-5, "/odd", false, 0, ""}});
  for (unsigned seed = 0; seed < 30; ++seed) {
    const StatusOr<DumpFacts> facts = Read(Dump(rows), seed);
    ASSERT_TRUE(facts.ok()) << facts.status();
    ASSERT_TRUE(facts->kine);
    EXPECT_EQ(facts->kine->content_hash, expected.content_hash);
    EXPECT_EQ(facts->kine->revision, 4);
    EXPECT_EQ(facts->kine->compact_revision, 7);
    EXPECT_EQ(facts->kine->live_keys, 3u);
  }
}

TEST(DumpReader, HexCompleteInsertAndCharacterSetsAreTheSame) {
  const kine::Content expected = ContentOf({{9, "/a", false, 0, std::string("h\0i", 3)}});
  for (const std::string_view rows :
       {"INSERT INTO `kine` VALUES (9,'/a',1,0,0,0,0,0x680069,NULL);\n",
        "INSERT  IGNORE INTO `kine` VALUES (9,0x2F61,1,0,0,0,0,_binary 'h\\0i',NULL);\n",
        "INSERT INTO `kine` (`name`, `id`, `deleted`, `created`, `lease`, `prev_revision`, "
        "`create_revision`, `value`, `old_value`) VALUES ('/a',9,0,1,0,0,0,\"h\\0i\",NULL);\n",
        "REPLACE INTO `kine` VALUES (9,'/a',1,0,0,0,0,'h\\0i',NULL);\n"}) {
    const StatusOr<DumpFacts> facts = Read(Dump(rows), 3);
    ASSERT_TRUE(facts.ok()) << facts.status() << rows;
    ASSERT_TRUE(facts->kine);
    EXPECT_EQ(facts->kine->content_hash, expected.content_hash) << rows;
    EXPECT_EQ(facts->kine->revision, 9);
  }
}

TEST(DumpReader, EveryByteComesThroughLongValues) {
  std::mt19937 random(1);
  std::string value, text;
  for (int i = 0; i < 200'000; ++i) value.push_back(static_cast<char>(random()));
  for (const char c : value) {
    if (c == '\'' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  const std::string rows = "INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,'" + text + "',NULL);\n";
  const auto expected = ContentOf({{1, "/a", false, 0, value}}).content_hash;
  for (const unsigned seed : {0u, 1u}) {
    const StatusOr<DumpFacts> facts = Read(Dump(rows), seed);
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_EQ(facts->kine->content_hash, expected);
    EXPECT_EQ(facts->largest_statement, rows.size() - 2);
  }
}

TEST(DumpReader, WhatIsNotKineIsReadOver) {
  const std::string others =
      "CREATE TABLE `odd ``name`` ; -- ` (\n  `a` int(11) NOT NULL,\n  `b(c` text,\n"
      "  `e` enum('a','b') DEFAULT NULL CHECK (`a` > 1)\n) COMMENT='it''s; -- x';\n"
      "INSERT INTO `odd ``name`` ; -- ` VALUES (1,'-- Dump completed',0x41,-1.5e-10);\n"
      "/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `id`*/;\nDELIMITER ;;\n"
      "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON kine FOR "
      "EACH ROW\n"
      "begin -- it's; here\n set @a = 'x;;'; /* ; ' */ insert into kine values (1); # don't */ ;;\n"
      "set @b = 1;#\n end */;;\n"
      "DELIMITER ;\n";
  const StatusOr<DumpFacts> facts = Read(std::string(kBegin) + others + std::string(kEnd), 5);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_FALSE(facts->kine);

  const StatusOr<DumpFacts> with_table = Read(Dump(others), 5);
  ASSERT_TRUE(with_table.ok()) << with_table.status();
  ASSERT_TRUE(with_table->kine);
  EXPECT_EQ(with_table->kine->live_keys, 0u);
  EXPECT_EQ(with_table->kine->revision, 0);
}

TEST(DumpReader, ABackslashIsItselfWhereTheModeSaysSo) {
  const std::string others =
      "SET @saved_sql_mode = @@sql_mode ;\n"
      "/*!50003 SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES' */ ;\nDELIMITER ;;\n"
      "CREATE PROCEDURE `p`()\nbegin set sql_mode = ''; select 'a\\', 'b''\\'; end;;\nDELIMITER ;\n"
      "/*!50003 SET sql_mode = @saved_sql_mode */ ;\n"
      "INSERT INTO `t` VALUES ('a\\'b');\n"
      "SET sql_mode='NO_BACKSLASH_ESCAPES';\nINSERT INTO `t` VALUES ('\\');\n"
      "SET sql_mode='STRICT_ALL_TABLES';\nINSERT INTO `t` VALUES ('a\\'');\n";
  for (unsigned seed = 0; seed < 20; ++seed) {
    const StatusOr<DumpFacts> facts = Read(Dump(others), seed);
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_THAT(facts->objects, ElementsAre("PROCEDURE"));
  }
}

TEST(DumpReader, WhoseWhatElseIsIsTold) {
  const std::string others =
      "/*!50001 CREATE VIEW `v` AS SELECT 1 AS `definer`*/;\n"
      "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a``@b`@`%` SQL SECURITY DEFINER "
      "*/\n"
      "/*!50001 VIEW `v` AS select 1 AS `definer` */;\nDELIMITER ;;\n"
      "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`localhost`*/ /*!50003 trigger t before insert on x "
      "FOR EACH ROW begin create definer = `no`@`no` event e; set definer = `no`@`no`; end */;;\n"
      "CREATE DEFINER=\"quoted\"@\"h\" PROCEDURE \"p\"()\nselect 1;;\n"
      "CREATE DEFINER=`role` AGGREGATE FUNCTION `f`() RETURNS int return 1;;\n"
      "/*!50106 CREATE*/ /*!50117 DEFINER=u@h*/ /*!50106 EVENT `ev` ON SCHEDULE */ ;;\nDELIMITER "
      ";\n";
  for (unsigned seed = 0; seed < 20; ++seed) {
    const StatusOr<DumpFacts> facts = Read(Dump(others), seed);
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_THAT(facts->objects, ElementsAre("EVENT", "FUNCTION", "PROCEDURE", "TRIGGER", "VIEW"));
    EXPECT_THAT(facts->definers, ElementsAre("a`@b@%", "quoted@h", "r@localhost", "role", "u@h"));
  }
  const StatusOr<DumpFacts> none = Read(Dump(""));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->objects, IsEmpty());
  EXPECT_THAT(none->definers, IsEmpty());
}

TEST(DumpReader, ATableOfThatNameWithOtherColumnsIsNotKine) {
  const std::string dump = std::string(kBegin) +
                           "CREATE TABLE `kine` (\n  `id` int,\n  `value` text\n);\n"
                           "INSERT INTO `kine` VALUES (1,'x');\n" +
                           std::string(kEnd);
  const StatusOr<DumpFacts> facts = Read(dump);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_FALSE(facts->kine);
}

TEST(DumpReader, OneByteLessIsNotWhole) {
  const std::string dump =
      Dump("INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,'x\n-- Dump completed\n',NULL);\n");
  ASSERT_TRUE(Read(dump).ok());
  for (std::size_t size = 0; size < dump.size(); ++size) {
    const StatusOr<DumpFacts> facts = Read(std::string_view(dump).substr(0, size));
    ASSERT_EQ(facts.status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(Read(std::string(kBegin) + "# Dump completed\n#Dump completed\n").status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(Read(dump + "SELECT").status().code(), StatusCode::kDataLoss);
}

TEST(DumpReader, BrokenRowsAreNamed) {
  for (const std::string_view rows :
       {"INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,'x');\n",
        "INSERT INTO `kine` VALUES (NULL,'/a',1,0,0,0,0,'x',NULL);\n",
        "INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,'x',NULL,1);\n",
        "INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,'x' 'y',NULL);\n",
        "INSERT INTO `kine` VALUES (1,'/a',1,,0,0,0,'x',NULL);\n",
        "INSERT INTO `kine` VALUES (1,'/a',1,0,0,0,0,0x123,NULL);\n",
        "INSERT INTO `kine` SELECT 1;\n", "INSERT INTO `kine` VALUES (1,'/a';\n", "DELIMITER //\n",
        "INSERT INTO `kine` (`id`;\n"}) {
    EXPECT_EQ(Read(Dump(rows)).status().code(), StatusCode::kDataLoss) << rows;
  }
}

TEST(DumpReader, ADumpOfWholeDatabasesIsRefused) {
  for (const std::string_view text :
       {"USE `other`;\n", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `other`;\n"}) {
    const Status status = Read(Dump(text)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(HintOf(status), HasSubstr("--databases"));
  }
}

TEST(IsDump, KnowsTheirFirstLine) {
  EXPECT_TRUE(IsDump(BytesOf(kBegin)));
  EXPECT_TRUE(IsDump(BytesOf("-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n")));
  EXPECT_FALSE(IsDump(BytesOf("PGDMP")));
  EXPECT_FALSE(IsDump({}));
}

}  // namespace
}  // namespace holdfast::mysqldump
