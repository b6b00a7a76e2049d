#include "formats/pgdump/sql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::pgdump {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Roles(const std::string& kind, const std::string& definition) {
  Entry entry;
  entry.kind = kind;
  entry.definition = definition;
  return RolesNamed(entry);
}

// All texts as pg_dump 15 writes them.
TEST(PgDumpSql, RolesAreFoundWhereverTheyAreNamed) {
  EXPECT_THAT(Roles("ACL",
                    "GRANT SELECT ON TABLE public.role TO grafana WITH GRANT OPTION;\nGRANT "
                    "UPDATE(a) ON TABLE public.\"TO x\" TO \"We\"\"ird r\";\nGRANT ALL ON FUNCTION "
                    "public.f(\"from\" integer) TO PUBLIC;\n"),
              ElementsAre("grafana", "We\"ird r"));
  EXPECT_THAT(Roles("ACL",
                    "REVOKE ALL ON TABLE k3s.t FROM kine;\nSET SESSION AUTHORIZATION deputy;\n"
                    "GRANT SELECT ON TABLE k3s.t TO \"user\";\nRESET SESSION AUTHORIZATION;\n"),
              ElementsAre("kine", "deputy", "user"));
  EXPECT_THAT(Roles("DEFAULT ACL",
                    "ALTER DEFAULT PRIVILEGES FOR ROLE kine IN SCHEMA public REVOKE ALL ON TABLES  "
                    "FROM kine;\nALTER DEFAULT PRIVILEGES FOR ROLE kine GRANT SELECT ON TABLES  TO "
                    "reader;\n"),
              ElementsAre("kine", "kine", "kine", "reader"));
  EXPECT_THAT(Roles("POLICY",
                    "CREATE POLICY p ON public.t FOR SELECT TO a, \"B\", c USING ((EXTRACT(year "
                    "FROM d) = 'TO x'::text));\n"),
              ElementsAre("a", "B", "c"));
  EXPECT_THAT(Roles("USER MAPPING",
                    "CREATE USER MAPPING FOR far SERVER s OPTIONS (\n    password 'TO FROM'\n);\n"),
              ElementsAre("far"));
  EXPECT_THAT(
      Roles("DATABASE PROPERTIES",
            "ALTER DATABASE a SET search_path TO 'k3s', 'public';\nALTER ROLE x IN DATABASE "
            "a SET \"TimeZone\" TO 'UTC';\n"),
      ElementsAre("x"));
  EXPECT_THAT(Roles("VIEW", "CREATE VIEW v AS SELECT a FROM b"), IsEmpty());
  for (const char* odd :
       {"", "GRANT x TO", "GRANT x TO a,", "\"", "TO \"", "'", "E'\\", "GRANT ) TO"})
    EXPECT_THAT(Roles("ACL", odd).size(), ::testing::Le(1u)) << odd;
}

TEST(PgDumpSql, ADatabaseIsMadeAsItWas) {
  Head head;
  EXPECT_EQ(DatabaseOptions(head, 15), "");
  Entry& entry = head.entries.emplace_back();
  entry.kind = "DATABASE";
  entry.definition =
      "CREATE DATABASE \"My \"\"db WITH\" WITH TEMPLATE = template0 ENCODING = 'UTF8' "
      "LOCALE_PROVIDER = "
      "libc LOCALE = 'de_DE.UTF-8' TABLESPACE = \"fast disk\";\n";
  EXPECT_EQ(DatabaseOptions(head, 15),
            " ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'de_DE.UTF-8' TABLESPACE = \"fast "
            "disk\"");
  EXPECT_EQ(DatabaseOptions(head, 14),
            " ENCODING = 'UTF8' LOCALE = 'de_DE.UTF-8' TABLESPACE = \"fast disk\"");
  EXPECT_EQ(DatabaseOptions(head, 12),
            " ENCODING = 'UTF8' LC_COLLATE = 'de_DE.UTF-8' LC_CTYPE = 'de_DE.UTF-8' TABLESPACE = "
            "\"fast disk\"");
}

TEST(PgDumpSql, ItsStatementsAreForAnotherName) {
  Entry entry;
  entry.kind = "DATABASE PROPERTIES";
  entry.definition =
      "ALTER DATABASE a CONNECTION LIMIT = 7;\nALTER DATABASE a SET app.key TO 'hush;';\nALTER "
      "ROLE "
      "\"DATABASE\" IN DATABASE a SET x.y TO E'a\\';b';\n";
  std::vector<std::string> sql, shown;
  for (const Statement& statement : ForDatabase(entry, "a", "\"B\"")) {
    sql.push_back(statement.sql);
    shown.push_back(statement.shown);
  }
  EXPECT_THAT(sql, ElementsAre("ALTER DATABASE \"B\" CONNECTION LIMIT = 7",
                               "ALTER DATABASE \"B\" SET app.key TO 'hush;'",
                               "ALTER ROLE \"DATABASE\" IN DATABASE \"B\" SET x.y TO E'a\\';b'"));
  EXPECT_THAT(shown, ElementsAre("ALTER DATABASE \"B\" CONNECTION LIMIT = 7",
                                 "ALTER DATABASE \"B\" SET app.key TO",
                                 "ALTER ROLE \"DATABASE\" IN DATABASE \"B\" SET x.y TO"));
}

}  // namespace
}  // namespace holdfast::pgdump
