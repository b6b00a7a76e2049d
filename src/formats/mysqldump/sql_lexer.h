// Cuts the SQL text of mariadb-dump and mysqldump into tokens, as it streams by: a value of any length comes in pieces,
// memory is a few KiB. It knows what those tools write, not all of SQL:
//
//   words and numbers    CREATE, 12, -3, 1.5e10, NULL, _binary
//   `names`              a backtick in them is doubled
//   'literals'           escapes \0 \b \n \r \t \Z; any other escaped character is itself; '' is a quote; also "..."
//                        and 0x6869. After SET sql_mode = '...NO_BACKSLASH_ESCAPES...', until it is set again, as around
//                        a routine that was made so, a backslash is itself.
//   comments             "-- ..." and "#..." to the end of the line, /* ... */; what stands in /*! ... */ and /*M! ... */
//                        is executed, so it is text like any other, but for version 999999, which no server has
//   DELIMITER ;;         the client's own command, around bodies that hold semicolons
//
// Source: MariaDB and MySQL manuals, "String Literals", "Hexadecimal Literals", "Comment Syntax", "mariadb-dump"; and
// dumps of MariaDB 10.11.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast::mysqldump {

// Who takes the tokens. An error ends the reading.
class Tokens {
 public:
  virtual ~Tokens() = default;

  virtual Status Word(std::string_view word) = 0;  // cut at kTokenMax bytes
  virtual Status Name(std::string_view name) = 0;  // without backticks; cut likewise
  virtual Status Sign(char sign) = 0;
  // A literal: its bytes come only if BeginLiteral() gave true.
  virtual StatusOr<bool> BeginLiteral() = 0;
  virtual Status Literal(ByteSpan piece) = 0;
  virtual Status EndLiteral() = 0;
  // `bytes` from its first token to its delimiter.
  virtual Status EndStatement(std::uint64_t bytes) = 0;
  // The whole line after "-- ", or with its "#", cut likewise; not those inside of statements.
  virtual void Comment(std::string_view line) = 0;
};

inline constexpr std::size_t kTokenMax = 4096;

// Is `word` this keyword, which stands in upper case?
bool IsKeyword(std::string_view word, std::string_view keyword);

class SqlLexer {
 public:
  // `tokens` must outlive this.
  explicit SqlLexer(Tokens& tokens) : tokens_(tokens) {}

  // kDataLoss for what no dump holds. After an error no more calls.
  Status Feed(ByteSpan bytes);

  std::uint64_t offset() const { return offset_; }
  // Of the word, name or literal that is told now; offset() is its end.
  std::uint64_t token_begin() const { return token_begin_; }
  // Between statements and comments.
  bool at_rest() const { return state_ == State::kText && !in_statement_; }

 private:
  enum class State {
    kText,
    kWord,
    kHex,
    kString,
    kStringEscape,
    kStringQuote,  // it ends, or a doubled quote
    kName,
    kNameQuote,
    kDash,
    kDashDash,
    kSlash,
    kOpener,  // after "/*": is it "!" or "M!" and a version?
    kStar,
    kSemicolon,
    kLineComment,
    kBlockComment,
    kBlockCommentStar,
    kDelimiter,
  };

  Status Step(std::uint8_t c);
  Status Text(std::uint8_t c);
  Status WordStep(std::uint8_t c);
  Status HexStep(std::uint8_t c);
  Status QuoteStep(std::uint8_t c);
  Status CommentStep(std::uint8_t c);
  Status DelimiterStep(std::uint8_t c);
  // Takes bytes of a string up to its end, an escape or the end of `bytes`; returns how many.
  StatusOr<std::size_t> StringRun(ByteSpan bytes);

  void Begin();
  void Keep(std::uint8_t c);
  Status SignThen(char sign, std::uint8_t next);
  Status EndWord();
  Status BeginLiteral(State state);
  Status EndLiteral();
  Status Append(ByteSpan piece);
  Status FlushLiteral();
  Status EndStatement();

  Tokens& tokens_;
  State state_ = State::kText;
  std::uint64_t offset_ = 0;  // of the byte being read
  bool in_statement_ = false;
  std::uint64_t statement_begin_ = 0, token_begin_ = 0;
  bool first_token_ = true;
  bool long_delimiter_ = false;  // ";;"
  // In SET; its value is due, after "sql_mode"; that is the literal being read; what it said of backslashes.
  bool in_set_ = false, mode_due_ = false, in_mode_ = false, plain_backslash_ = false;
  std::string token_;  // word, name, comment, delimiter, opener, mode

  std::uint8_t quote_ = '\'';
  bool wanted_ = false;
  int high_digit_ = -1;  // of a hexadecimal pair
  std::array<std::uint8_t, 4096> pending_{};
  std::size_t pending_size_ = 0;
};

}  // namespace holdfast::mysqldump
