// The values of one command's flags, with where each came from, so that an error can name the place.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/redacted.h"
#include "base/status.h"
#include "config/flags.h"

namespace holdfast {

struct FlagValue {
  std::string text;
  std::string where;  // "--debug", "/etc/holdfast/config.yaml:12", "HOLDFAST_DEBUG"
  bool in_file = false;
};

class Settings {
 public:
  explicit Settings(Command command) : command_(command) {}

  Command command() const { return command_; }

  // `name` as in the table. A scalar is replaced, a list grows.
  void Set(const Flag& flag, FlagValue value);
  // What was set before is forgotten.
  void Replace(const Flag& flag, std::vector<FlagValue> values);

  bool IsSet(std::string_view name) const { return values_.contains(name); }
  // Where it was set; empty if it was not.
  std::string Where(std::string_view name) const;
  // In a configuration file, not by whoever gave the command.
  bool IsFromFile(std::string_view name) const;
  // Whoever gave the command gave `by`, another flag for the same thing; `name` is from a file.
  bool IsOverridden(std::string_view name, std::string_view by) const {
    return IsFromFile(name) && IsSet(by) && !IsFromFile(by);
  }

  // The value, else the table's default. A value of the wrong form is kInvalidArgument and names value, flag and place.
  std::string Text(std::string_view name) const;
  Secret SecretText(std::string_view name) const { return Secret(Text(name)); }
  StatusOr<bool> Bool(std::string_view name) const;
  StatusOr<std::int64_t> Integer(std::string_view name) const;
  StatusOr<absl::Duration> Duration(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;

  // kInvalidArgument for "<flag> (<place>): <what>".
  Status Invalid(std::string_view name, std::string_view what) const;

  // Checks the form of every value, and that none asks for something that is not there.
  Status CheckAll() const;

 private:
  const Flag& FlagOf(std::string_view name) const;

  Command command_;
  std::map<std::string, std::vector<FlagValue>, std::less<>> values_;
};

// As Go's strconv.ParseBool: 1 t T TRUE true True and their opposites.
std::optional<bool> ParseGoBool(std::string_view text);

}  // namespace holdfast
