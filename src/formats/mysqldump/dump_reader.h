// Reads a dump of mariadb-dump or mysqldump as it streams by and says whether it is whole and, if it holds a kine table,
// what is in that (formats/kine/content.h). Memory: a few KiB, and what kine::ContentReader takes; values come in pieces.
//
// Such a dump is one SQL statement after the other; what matters here:
//
//   -- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, ...
//   CREATE TABLE `kine` ( `id` bigint(20) ..., `name` ..., PRIMARY KEY (`id`), ...) ENGINE=...;
//   INSERT INTO `kine` VALUES (1,'compact_rev_key',1,0,0,0,0,'',NULL),(...);
//   INSERT INTO `kine` (`id`, `name`, ...) VALUES (...);                       with --complete-insert
//   -- Dump completed on 2026-11-23  2:57:49
//
// Source: dumps of MariaDB 10.11, with and without --hex-blob; the manuals of mariadb-dump and mysqldump.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats/kine/content.h"
#include "formats/mysqldump/sql_lexer.h"

namespace holdfast::mysqldump {

// Do these first bytes (64 are enough) begin such a dump?
bool IsDump(ByteSpan first_bytes);

struct DumpFacts {
  std::optional<kine::Content> kine;    // none: no table `kine` with kine's columns
  std::uint64_t largest_statement = 0;  // bytes: the server must take it as one packet
  std::set<std::string>
      objects;  // what it makes besides tables: VIEW, TRIGGER, EVENT, PROCEDURE, FUNCTION, PACKAGE
  std::set<std::string>
      definers;  // the accounts and roles that these run as: "root@localhost", "role"
};

class DumpReader final : private Tokens {
 public:
  DumpReader() : lexer_(*this) {}

  // kDataLoss: not what such a tool writes. kInvalidArgument: it names databases itself (made with --databases or
  // --all-databases), so it would be restored elsewhere than where we look. After an error no more calls.
  Status Feed(ByteSpan bytes);

  // The last call. kDataLoss if the dump is cut off.
  StatusOr<DumpFacts> Finish();

 private:
  enum class Where {
    kBegin,
    kIgnored,  // to the end of the statement
    kCreate,   // what it makes comes
    kDefiner,  // in that, after DEFINER
    kCreateName,
    kCreateColumns,
    kInsert,
    kInsertHead,
    kInsertColumns,
    kRows,
    kValue,     // one is due
    kValueEnd,  // "," or ")"
  };
  // The columns whose text we keep, and the one that streams; kOther: skipped.
  enum Field { kId, kName, kDeleted, kPrevRevision, kKept, kValueField = kKept, kOther };

  Status Word(std::string_view word) override;
  Status Name(std::string_view name) override;
  Status Sign(char sign) override;
  StatusOr<bool> BeginLiteral() override;
  Status Literal(ByteSpan piece) override;
  Status EndLiteral() override;
  Status EndStatement(std::uint64_t bytes) override;
  void Comment(std::string_view line) override;

  Status FirstWord(std::string_view word);
  Status CreateWord(std::string_view word);
  void Table(std::string_view name);
  void CreateSign(char sign);
  Status RowSign(char sign);
  // Sets plan_ for rows with these columns; false if they are not kine's.
  bool MakePlan(const std::vector<std::string>& columns);
  Status BeginValue();
  Status BeginRow();
  StatusOr<std::int64_t> Number(Field field) const;
  Status Unexpected(std::string_view what) const;

  SqlLexer lexer_;
  Where where_ = Where::kBegin;
  bool completed_ = false;
  DumpFacts facts_;

  std::string definer_;
  int depth_ = 0;            // of parentheses in CREATE TABLE
  bool column_due_ = false;  // after "(" or ","
  std::vector<std::string> columns_, insert_columns_;
  std::vector<Field> plan_;
  std::optional<kine::ContentReader> content_;

  std::size_t column_ = 0;
  std::array<std::string, kKept> kept_;
  bool is_null_ = false;
};

}  // namespace holdfast::mysqldump
