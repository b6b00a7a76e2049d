#include "formats/mysqldump/dump_reader.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace holdfast::mysqldump {
namespace {

constexpr std::string_view kTable = "kine";
constexpr std::size_t kColumnsMax = 4096;  // of a table, in MySQL and MariaDB
constexpr std::size_t kKeptMax = 64 * kKiB;
constexpr std::size_t kDefinersMax = 1000;

}  // namespace

bool IsDump(ByteSpan first_bytes) {
  const std::string_view text = TextOf(first_bytes);
  for (const std::string_view begin :
       {"-- MariaDB dump ", "-- MySQL dump ", "/*M!999999\\- enable the sandbox mode */",
        "/*!999999\\- enable the sandbox mode */"}) {
    if (text.starts_with(begin)) return true;
  }
  return false;
}

Status DumpReader::Feed(ByteSpan bytes) {
  RETURN_IF_ERROR(lexer_.Feed(bytes), "dump");
  return OkStatus();
}

StatusOr<DumpFacts> DumpReader::Finish() {
  if (!completed_ || !lexer_.at_rest()) {
    return DataLossError(
        "the dump is cut off: after {} bytes it ends without its last line, \"-- Dump completed\"",
        lexer_.offset());
  }
  if (content_) facts_.kine = content_->Finish();
  return std::move(facts_);
}

Status DumpReader::Word(std::string_view word) {
  completed_ = false;
  switch (where_) {
    case Where::kBegin:
      return FirstWord(word);
    case Where::kDefiner:
      if (word.find('@') != std::string_view::npos) {
        definer_.append(word);
        return OkStatus();
      }
      if (!definer_.empty() && facts_.definers.size() < kDefinersMax)
        facts_.definers.insert(std::exchange(definer_, ""));
      [[fallthrough]];
    case Where::kCreate:
      return CreateWord(word);
    case Where::kCreateName:
      if (!IsKeyword(word, "IF") && !IsKeyword(word, "NOT") && !IsKeyword(word, "EXISTS"))
        Table(word);
      return OkStatus();
    case Where::kInsert:
      if (!IsKeyword(word, "INTO") && !IsKeyword(word, "IGNORE") && !IsKeyword(word, "DELAYED"))
        Table(word);
      return OkStatus();
    case Where::kCreateColumns:
      column_due_ = false;
      return OkStatus();
    case Where::kInsertHead:
      if (!IsKeyword(word, "VALUES")) return Unexpected(word);
      if (!MakePlan(insert_columns_.empty() ? columns_ : insert_columns_)) {
        content_.reset();
        where_ = Where::kIgnored;
        return OkStatus();
      }
      where_ = Where::kRows;
      return OkStatus();
    case Where::kValue: {
      if (word.starts_with('_'))
        return OkStatus();  // the character set of the literal that follows
      RETURN_IF_ERROR(BeginValue());
      is_null_ = IsKeyword(word, "NULL");
      const Field field = plan_[column_];
      if (field < kKept) kept_[field] = is_null_ ? "" : word;
      if (field == kValueField && !is_null_) content_->Value(BytesOf(word));
      where_ = Where::kValueEnd;
      return OkStatus();
    }
    case Where::kInsertColumns:
    case Where::kRows:
    case Where::kValueEnd:
      return Unexpected(word);
    case Where::kIgnored:
      return OkStatus();
  }
  return OkStatus();
}

Status DumpReader::FirstWord(std::string_view word) {
  if (IsKeyword(word, "USE")) {
    return WithHint(InvalidArgumentError("the dump chooses its databases itself (before byte {})",
                                         lexer_.offset()),
                    "It was made with --databases or --all-databases: restore it with the mariadb "
                    "or mysql client.");
  }
  where_ = Where::kIgnored;
  if (IsKeyword(word, "CREATE")) where_ = Where::kCreate;
  if (IsKeyword(word, "INSERT") || IsKeyword(word, "REPLACE")) where_ = Where::kInsert;
  insert_columns_.clear();
  return OkStatus();
}

// CREATE [ALGORITHM = x] [DEFINER = `u`@`h`] [SQL SECURITY DEFINER] VIEW, and the like
Status DumpReader::CreateWord(std::string_view word) {
  constexpr std::array<std::string_view, 6> kObjects = {"VIEW",      "TRIGGER",  "EVENT",
                                                        "PROCEDURE", "FUNCTION", "PACKAGE"};
  const auto is = [&](std::string_view keyword) { return IsKeyword(word, keyword); };
  if (is("DATABASE") || is("SCHEMA")) return FirstWord("USE");
  where_ = Where::kIgnored;
  if (is("TABLE")) {
    where_ = Where::kCreateName;
  } else if (const auto* object = std::find_if(kObjects.begin(), kObjects.end(), is);
             object != kObjects.end()) {
    facts_.objects.emplace(*object);
  } else if (is("DEFINER")) {
    definer_.clear();
    where_ = Where::kDefiner;
  } else if (is("OR") || is("REPLACE") || is("AGGREGATE") || is("ALGORITHM") || is("UNDEFINED") ||
             is("MERGE") || is("TEMPTABLE") || is("SQL") || is("SECURITY") || is("INVOKER")) {
    where_ = Where::kCreate;
  }
  return OkStatus();
}

void DumpReader::Table(std::string_view name) {
  const bool create = where_ == Where::kCreateName;
  where_ = Where::kIgnored;
  if (name != kTable) return;
  if (create) {
    columns_.clear();
    content_.reset();
    depth_ = 0;
    where_ = Where::kCreateColumns;
  } else if (content_) {
    where_ = Where::kInsertHead;
  }
}

Status DumpReader::Name(std::string_view name) {
  completed_ = false;
  switch (where_) {
    case Where::kCreateName:
    case Where::kInsert:
      Table(name);
      return OkStatus();
    case Where::kCreateColumns:
      if (std::exchange(column_due_, false) && columns_.size() < kColumnsMax)
        columns_.emplace_back(name);
      return OkStatus();
    case Where::kInsertColumns:
      if (insert_columns_.size() >= kColumnsMax) return Unexpected("one more column");
      insert_columns_.emplace_back(name);
      return OkStatus();
    case Where::kDefiner:
      definer_.append(name);
      return OkStatus();
    case Where::kInsertHead:
    case Where::kRows:
    case Where::kValue:
    case Where::kValueEnd:
      return Unexpected(name);
    default:
      where_ = Where::kIgnored;
      return OkStatus();
  }
}

Status DumpReader::Sign(char sign) {
  completed_ = false;
  switch (where_) {
    case Where::kCreateColumns:
      CreateSign(sign);
      return OkStatus();
    case Where::kInsertHead:
      if (sign != '(' || !insert_columns_.empty()) return Unexpected({&sign, 1});
      where_ = Where::kInsertColumns;
      return OkStatus();
    case Where::kInsertColumns:
      if (sign == ')') where_ = Where::kInsertHead;
      return sign == ')' || sign == ',' ? OkStatus() : Unexpected({&sign, 1});
    case Where::kRows:
    case Where::kValue:
    case Where::kValueEnd:
      return RowSign(sign);
    case Where::kCreate:
    case Where::kDefiner:
      if (sign == '=') return OkStatus();
      [[fallthrough]];
    default:
      where_ = Where::kIgnored;
      return OkStatus();
  }
}

void DumpReader::CreateSign(char sign) {
  column_due_ = false;
  if (sign == '(') column_due_ = ++depth_ == 1;
  if (sign == ',') column_due_ = depth_ == 1;
  if (sign != ')' || --depth_ > 0) return;
  if (MakePlan(columns_)) content_.emplace();
  where_ = Where::kIgnored;
}

Status DumpReader::RowSign(char sign) {
  if (where_ == Where::kRows) {
    if (sign == ',') return OkStatus();
    if (sign != '(') return Unexpected({&sign, 1});
    column_ = 0;
    where_ = Where::kValue;
    return OkStatus();
  }
  if (where_ == Where::kValue || (sign != ',' && sign != ')')) return Unexpected({&sign, 1});
  ++column_;
  if (sign == ',') {
    where_ = Where::kValue;
    return OkStatus();
  }
  if (column_ != plan_.size()) {
    return DataLossError("a row of {} values for {} columns before byte {}", column_, plan_.size(),
                         lexer_.offset());
  }
  content_->EndRow();
  where_ = Where::kRows;
  return OkStatus();
}

bool DumpReader::MakePlan(const std::vector<std::string>& columns) {
  // In the order of Field; then those that must be there, but say nothing about the content.
  constexpr std::array<std::string_view, 9> kColumns = {
      "id",    "name",     "deleted", "prev_revision", "value", "created", "create_revision",
      "lease", "old_value"};
  plan_.assign(columns.size(), kOther);
  std::array<bool, kColumns.size()> seen{};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto found = std::find(kColumns.begin(), kColumns.end(), columns[i]);
    if (found == kColumns.end()) continue;
    const auto index = static_cast<std::size_t>(found - kColumns.begin());
    seen[index] = true;
    if (index < kOther) plan_[i] = static_cast<Field>(index);
    // What a row is must be known when its value streams by; in kine's tables it is.
    if (index < kKept && seen[kValueField]) return false;
  }
  return std::find(seen.begin(), seen.end(), false) == seen.end();
}

StatusOr<bool> DumpReader::BeginLiteral() {
  completed_ = false;
  switch (where_) {
    case Where::kValue:
      RETURN_IF_ERROR(BeginValue());
      is_null_ = false;
      where_ = Where::kValueEnd;
      if (plan_[column_] < kKept) kept_[plan_[column_]].clear();
      return plan_[column_] != kOther;
    case Where::kCreateColumns:
      column_due_ = false;
      return false;
    case Where::kDefiner:  // a name in ANSI_QUOTES
      return true;
    case Where::kIgnored:
      return false;
    case Where::kBegin:
    case Where::kCreate:
      where_ = Where::kIgnored;
      return false;
    default:
      return Unexpected("a literal");
  }
}

Status DumpReader::Literal(ByteSpan piece) {
  if (where_ == Where::kDefiner) {
    if (definer_.size() < kTokenMax) definer_.append(TextOf(piece));
    return OkStatus();
  }
  const Field field = plan_[column_];
  if (field == kValueField) {
    content_->Value(piece);
    return OkStatus();
  }
  if (kept_[field].size() + piece.size() > kKeptMax) {
    return DataLossError("a name in the table kine is longer than {} bytes, before byte {}",
                         kKeptMax, lexer_.offset());
  }
  kept_[field].append(TextOf(piece));
  return OkStatus();
}

Status DumpReader::EndLiteral() { return OkStatus(); }

Status DumpReader::BeginValue() {
  if (column_ >= plan_.size()) return Unexpected("a value without a column");
  if (plan_[column_] == kValueField) return BeginRow();
  return OkStatus();
}

Status DumpReader::BeginRow() {
  ASSIGN_OR_RETURN(const std::int64_t id, Number(kId));
  ASSIGN_OR_RETURN(const std::int64_t deleted, Number(kDeleted));
  ASSIGN_OR_RETURN(const std::int64_t prev_revision, Number(kPrevRevision));
  content_->BeginRow(id, kept_[kName], deleted != 0, prev_revision);
  return OkStatus();
}

StatusOr<std::int64_t> DumpReader::Number(Field field) const {
  const std::string& text = kept_[field];
  if (text.empty() && field != kId) return 0;  // NULL
  const std::optional<std::int64_t> number = ParseInt(text);
  if (!number) {
    return DataLossError("a row of the table kine has \"{}\" for a number, before byte {}",
                         text.substr(0, 32), lexer_.offset());
  }
  return *number;
}

Status DumpReader::EndStatement(std::uint64_t bytes) {
  if (where_ == Where::kValue || where_ == Where::kValueEnd || where_ == Where::kInsertColumns) {
    return Unexpected("the end of the statement");
  }
  completed_ = false;
  facts_.largest_statement = std::max(facts_.largest_statement, bytes);
  where_ = Where::kBegin;
  return OkStatus();
}

void DumpReader::Comment(std::string_view line) { completed_ = line.starts_with("Dump completed"); }

Status DumpReader::Unexpected(std::string_view what) const {
  return DataLossError("\"{}\" was not expected in the rows of the table kine, before byte {}",
                       what.substr(0, 32), lexer_.offset());
}

}  // namespace holdfast::mysqldump
