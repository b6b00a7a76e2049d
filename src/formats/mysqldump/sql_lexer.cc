#include "formats/mysqldump/sql_lexer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace holdfast::mysqldump {
namespace {

constexpr std::string_view kNoVersion = "999999";  // of a comment that every server skips
// Pieces shorter than this are gathered.
constexpr std::size_t kDirectPiece = 512;

bool IsSpace(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(std::uint8_t c) { return c >= '0' && c <= '9'; }
bool IsWord(std::uint8_t c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         c == '.' || c == '@' || c >= 0x80;
}

int HexDigit(std::uint8_t c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint8_t Unescaped(std::uint8_t c) {
  switch (c) {
    case '0':
      return 0;
    case 'b':
      return '\b';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'Z':
      return 0x1a;
    default:
      return c;
  }
}

}  // namespace

bool IsKeyword(std::string_view word, std::string_view keyword) {
  return word.size() == keyword.size() &&
         std::equal(word.begin(), word.end(), keyword.begin(),
                    [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

Status SqlLexer::Feed(ByteSpan bytes) {
  while (!bytes.empty()) {
    std::size_t taken = 1;
    if (state_ == State::kString) {
      ASSIGN_OR_RETURN(taken, StringRun(bytes));
    } else {
      RETURN_IF_ERROR(Step(bytes[0]));
    }
    offset_ += taken;
    bytes = bytes.subspan(taken);
  }
  return OkStatus();
}

Status SqlLexer::Step(std::uint8_t c) {
  switch (state_) {
    case State::kText:
      return Text(c);
    case State::kWord:
      return WordStep(c);
    case State::kHex:
      return HexStep(c);
    case State::kDelimiter:
      return DelimiterStep(c);
    case State::kString:
    case State::kStringEscape:
    case State::kStringQuote:
    case State::kName:
    case State::kNameQuote:
      return QuoteStep(c);
    case State::kDash:
      if (c == '-') {
        state_ = State::kDashDash;
        return OkStatus();
      }
      if (!IsDigit(c)) return SignThen('-', c);
      Begin();
      token_ = '-';
      state_ = State::kWord;
      return WordStep(c);
    case State::kDashDash:
      if (!IsSpace(c)) {
        RETURN_IF_ERROR(SignThen('-', '-'));
        return Step(c);
      }
      token_.clear();
      state_ = c == '\n' ? State::kText : State::kLineComment;
      return OkStatus();
    case State::kSlash:
      if (c != '*') return SignThen('/', c);
      token_.clear();
      state_ = State::kOpener;
      return OkStatus();
    case State::kStar:
      if (c != '/') return SignThen('*', c);
      state_ = State::kText;  // the end of /*! ... */
      return OkStatus();
    case State::kSemicolon:
      if (c != ';') return SignThen(';', c);
      return EndStatement();
    case State::kOpener:
    case State::kLineComment:
    case State::kBlockComment:
    case State::kBlockCommentStar:
      return CommentStep(c);
  }
  return OkStatus();
}

Status SqlLexer::Text(std::uint8_t c) {
  if (IsSpace(c)) return OkStatus();
  if (IsWord(c)) {
    Begin();
    token_.clear();
    state_ = State::kWord;
    return WordStep(c);
  }
  switch (c) {
    case '\'':
    case '"':
      quote_ = c;
      return BeginLiteral(State::kString);
    case '`':
      Begin();
      token_.clear();
      state_ = State::kName;
      return OkStatus();
    case '-':
      state_ = State::kDash;
      return OkStatus();
    case '#':  // kept, so that no such line counts as one of the tool's own
      token_ = '#';
      state_ = State::kLineComment;
      return OkStatus();
    case '/':
      state_ = State::kSlash;
      return OkStatus();
    case '*':
      state_ = State::kStar;
      return OkStatus();
    case ';':
      if (!long_delimiter_) return EndStatement();
      state_ = State::kSemicolon;
      return OkStatus();
    case 0:
      return DataLossError("a zero byte between the words at byte {}", offset_);
    default:
      Begin();
      first_token_ = false;
      return tokens_.Sign(static_cast<char>(c));
  }
}

Status SqlLexer::WordStep(std::uint8_t c) {
  if (c == 'x' && token_ == "0") {
    high_digit_ = -1;
    return BeginLiteral(State::kHex);
  }
  if (IsWord(c)) {
    Keep(c);
    return OkStatus();
  }
  RETURN_IF_ERROR(EndWord());
  return Step(c);
}

Status SqlLexer::EndWord() {
  state_ = State::kText;
  const bool first = std::exchange(first_token_, false);
  const auto same = [](char a, char b) { return (a | 0x20) == b; };
  constexpr std::string_view kDelimiterWord = "delimiter";
  if (first && std::equal(token_.begin(), token_.end(), kDelimiterWord.begin(),
                          kDelimiterWord.end(), same)) {
    token_.clear();
    state_ = State::kDelimiter;
    return OkStatus();
  }
  if (first) in_set_ = IsKeyword(token_, "SET");
  if (mode_due_) plain_backslash_ = false;  // = @saved_sql_mode: as the dump begins
  mode_due_ = in_set_ && IsKeyword(token_, "SQL_MODE");
  return tokens_.Word(token_);
}

Status SqlLexer::DelimiterStep(std::uint8_t c) {
  if (c != '\n') {
    if (!IsSpace(c)) Keep(c);
    return OkStatus();
  }
  if (token_ != ";" && token_ != ";;") {
    return DataLossError("a delimiter that no dump sets before byte {}", offset_);
  }
  long_delimiter_ = token_ == ";;";
  in_statement_ = false;
  first_token_ = true;
  state_ = State::kText;
  return OkStatus();
}

Status SqlLexer::HexStep(std::uint8_t c) {
  const int digit = HexDigit(c);
  if (digit < 0) {
    if (high_digit_ >= 0) return DataLossError("half a byte before byte {}", offset_);
    RETURN_IF_ERROR(EndLiteral());
    return Step(c);
  }
  if (high_digit_ < 0) {
    high_digit_ = digit;
    return OkStatus();
  }
  const auto byte = static_cast<std::uint8_t>(high_digit_ << 4 | digit);
  high_digit_ = -1;
  return Append({&byte, 1});
}

Status SqlLexer::QuoteStep(std::uint8_t c) {
  switch (state_) {
    case State::kStringEscape: {
      const std::uint8_t byte = Unescaped(c);
      state_ = State::kString;
      return Append({&byte, 1});
    }
    case State::kStringQuote:
      if (c == quote_) {
        state_ = State::kString;
        return Append({&c, 1});
      }
      RETURN_IF_ERROR(EndLiteral());
      return Step(c);
    case State::kName:
      if (c == '`') {
        state_ = State::kNameQuote;
      } else {
        Keep(c);
      }
      return OkStatus();
    default:  // kNameQuote
      if (c == '`') {
        Keep(c);
        state_ = State::kName;
        return OkStatus();
      }
      state_ = State::kText;
      first_token_ = false;
      RETURN_IF_ERROR(tokens_.Name(token_));
      return Step(c);
  }
}

StatusOr<std::size_t> SqlLexer::StringRun(ByteSpan bytes) {
  const auto find = [](ByteSpan where, std::uint8_t c) {
    const void* const found = std::memchr(where.data(), c, where.size());
    return found == nullptr
               ? where.size()
               : static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - where.data());
  };
  // The search for the quote goes on where it was, however many escapes stand before it.
  std::size_t position = 0, quote = find(bytes, quote_);
  while (true) {
    const ByteSpan rest = bytes.subspan(position, quote - position);
    const std::size_t run = plain_backslash_ ? rest.size() : find(rest, '\\');
    RETURN_IF_ERROR(Append(bytes.subspan(position, run)));
    position += run;
    if (position == quote) {
      if (quote == bytes.size()) return position;
      state_ = State::kStringQuote;
      return position + 1;
    }
    if (position + 1 == bytes.size()) {
      state_ = State::kStringEscape;
      return position + 1;
    }
    const std::uint8_t byte = Unescaped(bytes[position + 1]);
    RETURN_IF_ERROR(Append({&byte, 1}));
    position += 2;
    if (position > quote) quote = position + find(bytes.subspan(position), quote_);
  }
}

Status SqlLexer::CommentStep(std::uint8_t c) {
  switch (state_) {
    case State::kOpener: {
      const bool bang = token_.ends_with('!'), m = token_ == "M";
      const bool version = token_.find('!') != std::string::npos;
      if ((token_.empty() && (c == '!' || c == 'M')) || (m && c == '!') ||
          (version && IsDigit(c))) {
        Keep(c);
        return OkStatus();
      }
      state_ =
          !version || (!bang && token_.ends_with(kNoVersion)) ? State::kBlockComment : State::kText;
      return Step(c);
    }
    case State::kLineComment:
      if (c != '\n') {
        Keep(c);
        return OkStatus();
      }
      state_ = State::kText;
      if (!in_statement_) tokens_.Comment(token_);
      return OkStatus();
    case State::kBlockComment:
      if (c == '*') state_ = State::kBlockCommentStar;
      return OkStatus();
    default:  // kBlockCommentStar
      if (c != '*') state_ = c == '/' ? State::kText : State::kBlockComment;
      return OkStatus();
  }
}

void SqlLexer::Begin() {
  token_begin_ = offset_;
  if (in_statement_) return;
  in_statement_ = true;
  statement_begin_ = offset_;
}

void SqlLexer::Keep(std::uint8_t c) {
  if (token_.size() < kTokenMax) token_.push_back(static_cast<char>(c));
}

Status SqlLexer::SignThen(char sign, std::uint8_t next) {
  Begin();
  first_token_ = false;
  state_ = State::kText;
  RETURN_IF_ERROR(tokens_.Sign(sign));
  return Step(next);
}

Status SqlLexer::BeginLiteral(State state) {
  Begin();
  first_token_ = false;
  state_ = state;
  pending_size_ = 0;
  in_mode_ = std::exchange(mode_due_, false);
  if (in_mode_) token_.clear();
  ASSIGN_OR_RETURN(wanted_, tokens_.BeginLiteral());
  return OkStatus();
}

Status SqlLexer::EndLiteral() {
  state_ = State::kText;
  if (in_mode_) plain_backslash_ = token_.find("NO_BACKSLASH_ESCAPES") != std::string::npos;
  RETURN_IF_ERROR(FlushLiteral());
  return tokens_.EndLiteral();
}

Status SqlLexer::Append(ByteSpan piece) {
  if (in_mode_)
    for (const std::uint8_t c : piece) Keep(c);
  if (!wanted_ || piece.empty()) return OkStatus();
  if (pending_size_ + piece.size() > pending_.size() || piece.size() >= kDirectPiece) {
    RETURN_IF_ERROR(FlushLiteral());
  }
  if (piece.size() >= kDirectPiece) return tokens_.Literal(piece);
  std::copy(piece.begin(), piece.end(), pending_.data() + pending_size_);
  pending_size_ += piece.size();
  return OkStatus();
}

Status SqlLexer::FlushLiteral() {
  if (pending_size_ == 0) return OkStatus();
  const ByteSpan piece{pending_.data(), std::exchange(pending_size_, 0)};
  return tokens_.Literal(piece);
}

Status SqlLexer::EndStatement() {
  const std::uint64_t bytes = in_statement_ ? offset_ - statement_begin_ : 0;
  state_ = State::kText;
  in_statement_ = false;
  first_token_ = true;
  in_set_ = mode_due_ = false;
  return tokens_.EndStatement(bytes);
}

}  // namespace holdfast::mysqldump
