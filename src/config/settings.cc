#include "config/settings.h"

#include "base/check.h"
#include "base/text.h"

namespace holdfast {

void Settings::Set(const Flag& flag, FlagValue value) {
  auto& values = values_[std::string(flag.name)];
  if (flag.type != FlagType::kList) values.clear();
  values.push_back(std::move(value));
}

void Settings::Replace(const Flag& flag, std::vector<FlagValue> values) {
  values_[std::string(flag.name)] = std::move(values);
}

bool Settings::IsFromFile(std::string_view name) const {
  const auto it = values_.find(name);
  return it != values_.end() && it->second.back().in_file;
}

std::string Settings::Where(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() || it->second.empty() ? std::string() : it->second.back().where;
}

const Flag& Settings::FlagOf(std::string_view name) const {
  const Flag* flag = FindFlag(command_, name);
  CHECK(flag != nullptr && flag->name == name);
  return *flag;
}

std::string Settings::Text(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end() || it->second.empty()) return std::string(FlagOf(name).default_text);
  return it->second.back().text;
}

Status Settings::Invalid(std::string_view name, std::string_view what) const {
  const std::string where = Where(name);
  return InvalidArgumentError(
      "invalid {}{}: {}", name,
      where.empty() || where == "--" + std::string(name) ? "" : " (" + where + ")", what);
}

StatusOr<bool> Settings::Bool(std::string_view name) const {
  const std::string text = Text(name);
  const auto value = ParseGoBool(text);
  if (!value) return Invalid(name, fmt::format("\"{}\" is neither true nor false", text));
  return *value;
}

StatusOr<std::int64_t> Settings::Integer(std::string_view name) const {
  const std::string text = Text(name);
  const auto value = ParseInt(text);
  if (!value) return Invalid(name, fmt::format("\"{}\" is not a whole number", text));
  return *value;
}

StatusOr<absl::Duration> Settings::Duration(std::string_view name) const {
  const auto value = ParseGoDuration(Text(name));
  if (!value.ok()) return Invalid(name, MessageOf(value.status()));
  return *value;
}

std::vector<std::string> Settings::List(std::string_view name) const {
  std::vector<std::string> out;
  if (const auto it = values_.find(name); it != values_.end()) {
    for (const FlagValue& value : it->second) out.push_back(value.text);
  }
  return out;
}

Status Settings::CheckAll() const {
  for (const auto& [name, values] : values_) {
    if (values.empty()) continue;
    const Flag& flag = FlagOf(name);
    Status status;
    switch (flag.type) {
      case FlagType::kBool:
        status = Bool(name).status();
        break;
      case FlagType::kInteger:
        status = Integer(name).status();
        break;
      case FlagType::kDuration:
        status = Duration(name).status();
        break;
      case FlagType::kText:
      case FlagType::kList:
        break;
    }
    RETURN_IF_ERROR(status);
    const bool asks = !(flag.type == FlagType::kBool && !Bool(name).value_or(true)) &&
                      !values.back().text.empty();
    if (!flag.missing.empty() && asks) return Invalid(name, flag.missing);
  }
  return OkStatus();
}

std::optional<bool> ParseGoBool(std::string_view text) {
  for (std::string_view word : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == word) return true;
  }
  for (std::string_view word : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

}  // namespace holdfast
