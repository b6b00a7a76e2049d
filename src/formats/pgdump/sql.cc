#include "formats/pgdump/sql.h"

#include <algorithm>
#include <array>

namespace holdfast::pgdump {
namespace {

struct Token {
  enum class Kind { kWord, kName, kText, kSymbol };
  Kind kind;
  std::string value;  // of a name without its quotes; else as it stands there
  std::size_t begin, end;

  bool IsWord(std::string_view word) const { return kind == Kind::kWord && value == word; }
  bool IsSymbol(char symbol) const { return kind == Kind::kSymbol && value[0] == symbol; }
};

bool IsOfWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<std::uint8_t>(c) >= 0x80;
}

// The position behind what is quoted from `begin` on; doubled, a quote stands for itself.
std::size_t EndOfQuoted(std::string_view sql, std::size_t begin, bool backslashes) {
  const char quote = sql[begin];
  std::size_t at = begin + 1;
  for (; at < sql.size(); ++at) {
    if (backslashes && sql[at] == '\\') {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 == sql.size() || sql[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return sql.size();
}

std::string WithoutQuotes(std::string_view quoted) {
  std::string out;
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] == '"') ++i;
    out += quoted[i];
  }
  return out;
}

std::vector<Token> Tokens(std::string_view sql) {
  std::vector<Token> out;
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t begin = at;
    const auto add = [&](Token::Kind kind, std::size_t end) {
      out.push_back({kind, std::string(sql.substr(begin, end - begin)), begin, end});
      at = end;
    };
    const bool escapes = sql.substr(at).starts_with("E'");
    if (std::string_view(" \t\r\n").find(sql[at]) != std::string_view::npos) {
      ++at;
    } else if (sql[at] == '\'' || escapes) {
      add(Token::Kind::kText, EndOfQuoted(sql, at + (escapes ? 1 : 0), escapes));
    } else if (sql[at] == '"') {
      add(Token::Kind::kName, EndOfQuoted(sql, at, false));
      out.back().value = WithoutQuotes(out.back().value);
    } else if (IsOfWord(sql[at])) {
      std::size_t end = at;
      while (end < sql.size() && IsOfWord(sql[end])) ++end;
      add(Token::Kind::kWord, end);
    } else {
      add(Token::Kind::kSymbol, at + 1);
    }
  }
  return out;
}

// Words behind which roles stand. A name that is one of TO, FROM, FOR, AUTHORIZATION is always quoted by pg_dump.
bool RolesFollow(const std::vector<Token>& tokens, std::size_t i) {
  constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"FOR", "ROLE"}, {"SESSION", "AUTHORIZATION"}, {"MAPPING", "FOR"}, {"ALTER", "ROLE"}};
  if (tokens[i].IsWord("TO") || tokens[i].IsWord("FROM")) return true;
  return i > 0 && std::any_of(std::begin(kPairs), std::end(kPairs), [&](const auto& pair) {
           return tokens[i - 1].IsWord(pair.first) && tokens[i].IsWord(pair.second);
         });
}

}  // namespace

bool IsOfDatabase(const Entry& entry) {
  if (entry.kind == "DATABASE" || entry.kind == "DATABASE PROPERTIES") return true;
  return (entry.kind == "ACL" || entry.kind == "COMMENT" || entry.kind == "SECURITY LABEL") &&
         entry.tag.starts_with("DATABASE ");
}

std::vector<std::string> RolesNamed(const Entry& entry) {
  constexpr std::array<std::string_view, 5> kKinds = {"ACL", "DEFAULT ACL", "POLICY",
                                                      "USER MAPPING", "DATABASE PROPERTIES"};
  std::vector<std::string> out;
  if (std::find(kKinds.begin(), kKinds.end(), entry.kind) == kKinds.end()) return out;
  const std::vector<Token> tokens = Tokens(entry.definition);
  int depth = 0;  // an expression of a policy stands in parentheses
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].IsSymbol('(')) ++depth;
    if (tokens[i].IsSymbol(')')) --depth;
    if (depth != 0 || !RolesFollow(tokens, i)) continue;
    for (++i; i < tokens.size(); i += 2) {
      const Token& role = tokens[i];
      const bool is_name = role.kind == Token::Kind::kName ||
                           (role.kind == Token::Kind::kWord && role.value != "PUBLIC");
      if (is_name) out.push_back(role.value);
      if (i + 1 == tokens.size() || !tokens[i + 1].IsSymbol(',')) break;
    }
  }
  return out;
}

std::string DatabaseOptions(const Head& head, int server_major) {
  constexpr int kHasLocaleProvider = 15, kHasLocale = 13;
  const auto database = std::find_if(head.entries.begin(), head.entries.end(),
                                     [](const Entry& entry) { return entry.kind == "DATABASE"; });
  if (database == head.entries.end()) return "";
  // CREATE DATABASE name WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C';
  const std::vector<Token> tokens = Tokens(database->definition);
  std::string out;
  for (std::size_t i = 4; i + 2 < tokens.size() && tokens[i + 1].IsSymbol('='); i += 3) {
    const std::string& option = tokens[i].value;
    const std::string value =
        database->definition.substr(tokens[i + 2].begin, tokens[i + 2].end - tokens[i + 2].begin);
    if (option == "TEMPLATE") continue;
    // pg_dump may be newer than the server. Until then there was libc only.
    if (option == "LOCALE_PROVIDER" && server_major < kHasLocaleProvider) continue;
    if (option == "LOCALE" && server_major < kHasLocale) {
      out += fmt::format(" LC_COLLATE = {0} LC_CTYPE = {0}", value);
    } else {
      out += fmt::format(" {} = {}", option, value);
    }
  }
  return out;
}

std::vector<Statement> ForDatabase(const Entry& entry, std::string_view database,
                                   std::string_view quoted_name) {
  std::vector<Statement> out;
  Statement statement;
  bool values = false;
  std::size_t copied = 0;
  const std::vector<Token> tokens = Tokens(entry.definition);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    const bool is_name = i > 0 && tokens[i - 1].IsWord("DATABASE") && token.value == database;
    std::string piece = entry.definition.substr(copied, token.begin - copied);
    if (statement.sql.empty()) piece.clear();
    piece += is_name
                 ? quoted_name
                 : std::string_view(entry.definition).substr(token.begin, token.end - token.begin);
    copied = token.end;
    if (token.IsSymbol(';')) {
      out.push_back(std::move(statement));
      statement = {};
      values = false;
      continue;
    }
    values = values || token.kind == Token::Kind::kText;
    statement.sql += piece;
    if (!values) statement.shown += piece;
  }
  return out;
}

}  // namespace holdfast::pgdump
