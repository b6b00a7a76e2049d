#include "keys/passwd_file.h"

#include <openssl/crypto.h>

#include <utility>
#include <vector>

#include "base/checksum.h"

namespace holdfast {
namespace {

enum Column : std::size_t { kPassword, kName, kUid, kRole };
constexpr std::size_t kColumnsMin = 2;

// Reads one CSV record after another by the rules of Go's encoding/csv with its default options.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : rest_(text) {}

  // The next record; an empty one at the end.
  StatusOr<std::vector<std::string>> Next() {
    while (!rest_.empty() && AtLineEnd()) TakeLineEnd();
    std::vector<std::string> fields;
    if (rest_.empty()) return fields;
    first_line_ = line_;
    while (true) {
      ASSIGN_OR_RETURN(std::string field, rest_.starts_with('"') ? TakeQuoted() : TakePlain());
      fields.push_back(std::move(field));
      if (rest_.starts_with(',')) {
        rest_.remove_prefix(1);
        continue;
      }
      TakeLineEnd();
      return fields;
    }
  }

  // Of the record that Next() gave last.
  std::size_t line() const { return first_line_; }

 private:
  bool AtLineEnd() const {
    return rest_.empty() || rest_[0] == '\n' || rest_.starts_with("\r\n") || rest_ == "\r";
  }

  void TakeLineEnd() {
    if (rest_.starts_with('\r')) rest_.remove_prefix(1);
    if (rest_.starts_with('\n')) rest_.remove_prefix(1);
    ++line_;
  }

  StatusOr<std::string> TakePlain() {
    std::string field;
    for (; !AtLineEnd() && rest_[0] != ','; rest_.remove_prefix(1)) {
      if (rest_[0] == '"') {
        return DataLossError("line {}: a quote in a field without quotes", line_);
      }
      field.push_back(rest_[0]);
    }
    return field;
  }

  StatusOr<std::string> TakeQuoted() {
    std::string field;
    rest_.remove_prefix(1);
    while (!rest_.empty()) {
      if (rest_.starts_with("\"\"")) {
        field.push_back('"');
        rest_.remove_prefix(2);
      } else if (rest_[0] == '"') {
        rest_.remove_prefix(1);
        if (AtLineEnd() || rest_[0] == ',') return field;
        return DataLossError("line {}: text after the closing quote", line_);
      } else if (AtLineEnd()) {
        field.push_back('\n');
        TakeLineEnd();
      } else {
        field.push_back(rest_[0]);
        rest_.remove_prefix(1);
      }
    }
    return DataLossError("line {}: a quote is not closed", first_line_);
  }

  std::string_view rest_;
  std::size_t line_ = 1, first_line_ = 1;
};

bool NeedsQuotes(std::string_view field) {
  constexpr std::string_view kSpecial = ",\"\r\n", kBlank = " \t\v\f";
  return field == "\\." || field.find_first_of(kSpecial) != std::string_view::npos ||
         field.find_first_of(kBlank) == 0;
}

void AppendField(std::string& out, std::string_view field) {
  if (!NeedsQuotes(field)) {
    out += field;
    return;
  }
  out.push_back('"');
  for (char c : field) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

// Compares digests: then not even the lengths show in the time it takes.
bool SameInConstantTime(const Secret& a, const Secret& b) {
  const Sha256Digest left = Sha256Of(BytesOf(a.reveal()));
  const Sha256Digest right = Sha256Of(BytesOf(b.reveal()));
  return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace

StatusOr<PasswdFile> PasswdFile::Parse(std::string_view csv) {
  PasswdFile file;
  CsvReader reader(csv);
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<std::string> row, reader.Next());
    if (row.empty()) return file;
    if (row.size() < kColumnsMin) {
      return DataLossError(
          "line {}: password file must have at least {} columns (password, name), found {}",
          reader.line(), kColumnsMin, row.size());
    }
    file.Set(row[kName], Secret(row[kPassword]), row.size() > kRole ? row[kRole] : "");
  }
}

Secret PasswdFile::Format() const {
  std::string out;
  for (const auto& [name, entry] : users_) {
    AppendField(out, entry.password.reveal());
    out.push_back(',');
    AppendField(out, name);
    out.push_back(',');
    AppendField(out, name);
    out.push_back(',');
    AppendField(out, entry.role);
    out.push_back('\n');
  }
  return Secret(std::move(out));
}

void PasswdFile::Set(const std::string& user, Secret password, std::string role) {
  users_[user] = {std::move(password), std::move(role)};
}

Secret PasswdFile::PasswordOf(const std::string& user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? Secret() : found->second.password;
}

std::optional<std::string> PasswdFile::RoleOf(const std::string& user,
                                              const Secret& password) const {
  const bool same = SameInConstantTime(PasswordOf(user), password);
  if (!same || password.empty()) return std::nullopt;
  return users_.at(user).role;
}

}  // namespace holdfast
