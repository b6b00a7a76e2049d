// Takes the database's name out of a dump as it streams by, so that the dump works only on the database into which it is
// loaded. Of one database, mariadb-dump and mysqldump write the name in two places:
//
//   ALTER DATABASE `app` CHARACTER SET ...              around what was made before the database's collation was changed
//   CREATE ... TRIGGER `app`.`t` ... ON `app`.`x` ...   as the user wrote it
//
// Without it either means the chosen database. The bytes become spaces: all others stay where they are. Views, bodies and
// foreign keys may name databases as well; these are only referred to.
//
// Source: dumps of MariaDB 10.11; the manuals, "ALTER DATABASE", "CREATE TRIGGER" (a trigger is in its table's database).
#pragma once

#include <optional>
#include <string>

#include "formats/mysqldump/sql_lexer.h"

namespace holdfast::mysqldump {

class DatabaseEraser final : private Tokens {
 public:
  DatabaseEraser() : lexer_(*this) {}

  // The next bytes of the dump; gives what can be passed on, until the next call. A name that has begun is held back.
  // kDataLoss: no dump. After an error no more calls.
  StatusOr<ByteSpan> Feed(ByteSpan bytes);
  // At the end: what was held back.
  ByteSpan Rest() const { return BytesOf(text_).subspan(given_); }

 private:
  enum class Where { kBegin, kOther, kAlter, kAlterDatabase, kCreate, kTrigger, kEvent, kTable };

  Status Word(std::string_view word) override;
  Status Name(std::string_view name) override;
  Status Sign(char) override { return OkStatus(); }
  StatusOr<bool> BeginLiteral() override;
  Status Literal(ByteSpan) override { return OkStatus(); }
  Status EndLiteral() override { return OkStatus(); }
  Status EndStatement(std::uint64_t bytes) override;
  void Comment(std::string_view) override {}

  void Go(Where where);
  bool awaits_name() const;
  void NamePart(std::string_view word);
  void Erase(std::uint64_t begin, std::uint64_t end);

  SqlLexer lexer_;
  Where where_ = Where::kBegin;
  std::uint64_t since_ = 0;                  // where_ is so
  std::optional<std::uint64_t> name_begin_;  // of a trigger or table
  std::string text_;                         // not passed on before the last call
  std::size_t given_ = 0;                    // of it, by the last call
  std::uint64_t text_begin_ = 0;             // its offset in the dump
};

}  // namespace holdfast::mysqldump
