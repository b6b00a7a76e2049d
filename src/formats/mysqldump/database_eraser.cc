#include "formats/mysqldump/database_eraser.h"

#include <algorithm>

namespace holdfast::mysqldump {
namespace {

constexpr std::size_t kHeldMax = 1 * kMiB;  // a name, and comments around it

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> keywords) {
  return std::any_of(keywords.begin(), keywords.end(),
                     [&](std::string_view keyword) { return IsKeyword(word, keyword); });
}

}  // namespace

StatusOr<ByteSpan> DatabaseEraser::Feed(ByteSpan bytes) {
  text_.erase(0, given_);
  text_begin_ += given_;
  text_.append(TextOf(bytes));
  RETURN_IF_ERROR(lexer_.Feed(bytes), "dump");
  const std::size_t held = awaits_name() ? lexer_.offset() - since_ : 0;
  if (held > kHeldMax)
    return DataLossError("a name without an end before byte {} of the dump", lexer_.offset());
  given_ = text_.size() - held;
  return BytesOf(text_).first(given_);
}

Status DatabaseEraser::Word(std::string_view word) {
  switch (where_) {
    case Where::kBegin:
      Go(IsKeyword(word, "ALTER")    ? Where::kAlter
         : IsKeyword(word, "CREATE") ? Where::kCreate
                                     : Where::kOther);
      break;
    case Where::kAlter:
      Go(IsOneOf(word, {"DATABASE", "SCHEMA"}) ? Where::kAlterDatabase : Where::kOther);
      break;
    case Where::kAlterDatabase:
      if (!IsOneOf(word, {"DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT"}))
        Erase(lexer_.token_begin(), lexer_.offset());
      Go(Where::kOther);
      break;
    case Where::kCreate:  // OR REPLACE DEFINER = u @ h
      if (IsKeyword(word, "TRIGGER")) {
        Go(Where::kTrigger);
      } else if (!IsOneOf(word, {"OR", "REPLACE", "DEFINER"}) &&
                 word.find('@') == std::string_view::npos) {
        Go(Where::kOther);
      }
      break;
    case Where::kTrigger:
      if (name_begin_ && IsOneOf(word, {"BEFORE", "AFTER"})) {
        Go(Where::kEvent);
      } else if (name_begin_ || !IsOneOf(word, {"IF", "NOT", "EXISTS"})) {
        NamePart(word);
      }
      break;
    case Where::kEvent:
      if (IsKeyword(word, "ON")) Go(Where::kTable);
      break;
    case Where::kTable:
      if (IsKeyword(word, "FOR")) {
        Go(Where::kOther);
      } else {
        NamePart(word);
      }
      break;
    case Where::kOther:
      break;
  }
  return OkStatus();
}

Status DatabaseEraser::Name(std::string_view) {
  if (where_ == Where::kBegin || where_ == Where::kAlter) Go(Where::kOther);
  if (where_ == Where::kAlterDatabase) {
    Erase(lexer_.token_begin(), lexer_.offset());
    Go(Where::kOther);
  }
  NamePart("");
  return OkStatus();
}

// In ANSI_QUOTES, a name.
StatusOr<bool> DatabaseEraser::BeginLiteral() {
  NamePart("");
  return false;
}

Status DatabaseEraser::EndStatement(std::uint64_t) {
  Go(Where::kBegin);
  return OkStatus();
}

void DatabaseEraser::Go(Where where) {
  where_ = where;
  since_ = lexer_.offset();
  name_begin_.reset();
}

bool DatabaseEraser::awaits_name() const {
  return where_ == Where::kAlterDatabase || where_ == Where::kTrigger || where_ == Where::kTable;
}

// `word`: that part, if it is not quoted; the point between two parts stands in such a one: `a`.`b`, a.b, `a`.b.
void DatabaseEraser::NamePart(std::string_view word) {
  if (where_ != Where::kTrigger && where_ != Where::kTable) return;
  if (!name_begin_) name_begin_ = lexer_.token_begin();
  if (const std::size_t point = word.find('.'); point != std::string_view::npos)
    Erase(*name_begin_, lexer_.token_begin() + point + 1);
}

void DatabaseEraser::Erase(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end; ++at) text_[at - text_begin_] = ' ';
}

}  // namespace holdfast::mysqldump
