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

}  // namespace
}  // namespace holdfast::pgdump
