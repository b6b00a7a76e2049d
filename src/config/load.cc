#include "config/load.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/path.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kConfigBytesMax = 1 * kMiB;

// One key of a file.
struct Key {
  std::string name;
  std::string where;  // "<path>:<line>"
  bool append = false;
  std::vector<FlagValue> values;
};

// The text RKE2 would hand to its flag for this scalar.
std::string ScalarText(const YAML::Node& node) {
  if (node.IsNull()) return {};
  const std::string text = node.Scalar();
  const bool quoted = node.Tag() == "!";
  if (quoted) return text;
  const std::string lower = ToLower(text);
  if (lower == "yes" || lower == "on" || lower == "true" || lower == "y") return "true";
  if (lower == "no" || lower == "off" || lower == "false" || lower == "n") return "false";
  if (lower == "null" || text == "~") return {};
  const bool octal =
      text.size() > 1 && text[0] == '0' &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (octal && text.size() < 20) return fmt::format("{}", std::stoull(text, nullptr, 8));
  return text;
}

StatusOr<std::vector<Key>> ParseYaml(const std::string& path, const std::string& text) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {  // the library's only way to say it
    return InvalidArgumentError("{}:{}: {}", path, error.mark.line + 1, error.msg);
  }
  if (root.IsNull()) return std::vector<Key>();
  if (!root.IsMap()) return InvalidArgumentError("{}: expected keys and values", path);
  std::vector<Key> keys;
  for (const auto& entry : root) {
    const std::string where = fmt::format("{}:{}", path, entry.first.Mark().line + 1);
    if (!entry.first.IsScalar()) return InvalidArgumentError("{}: a key must be a text", where);
    Key key{.name = entry.first.Scalar(), .where = where};
    if (key.name.ends_with('+')) {
      key.append = true;
      key.name.pop_back();
    }
    if (entry.second.IsSequence()) {
      for (const auto& item : entry.second) {
        if (!item.IsScalar() && !item.IsNull())
          return InvalidArgumentError("{}: {} holds a list or map inside a list", where, key.name);
        key.values.push_back(
            {ScalarText(item), fmt::format("{}:{}", path, item.Mark().line + 1), /*in_file=*/true});
      }
    } else if (entry.second.IsMap()) {
      return InvalidArgumentError("{}: {} is a map, expected a value or a list", where, key.name);
    } else {
      key.values.push_back({ScalarText(entry.second), where, /*in_file=*/true});
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

StatusOr<std::vector<Key>> ReadConfigFile(FileSystem& fs, const std::string& path) {
  const auto text = ReadFile(fs, path, kConfigBytesMax);
  if (absl::IsNotFound(text.status())) return std::vector<Key>();
  RETURN_IF_ERROR(text.status(), "read configuration");
  return ParseYaml(path, *text);
}

StatusOr<std::vector<std::string>> DropIns(FileSystem& fs, const std::string& config_path) {
  const std::string directory = config_path + ".d";
  const auto entries = fs.List(directory);
  if (absl::IsNotFound(entries.status())) return std::vector<std::string>();
  RETURN_IF_ERROR(entries.status(), "read configuration");
  std::vector<std::string> out;
  for (const DirectoryEntry& entry : *entries) {
    const std::string lower = ToLower(entry.name);
    if (entry.info.kind != FileKind::kDirectory &&
        (lower.ends_with(".yaml") || lower.ends_with(".yml"))) {
      out.push_back(JoinPath(directory, entry.name));
    }
  }
  return out;
}

class Loader {
 public:
  Loader(const CommandLine& line, const LoadContext& context)
      : line_(line), context_(context), settings_(line.command) {}

  StatusOr<Settings> Run() {
    // Commands without a --config flag take nothing from a file.
    if (FindFlag(line_.command, "config") != nullptr) {
      const std::string path = ConfigPath();
      RETURN_IF_ERROR(ApplyFile(path));
      ASSIGN_OR_RETURN(const std::vector<std::string> drop_ins, DropIns(context_.fs, path));
      for (const std::string& drop_in : drop_ins) RETURN_IF_ERROR(ApplyFile(drop_in));
    }
    for (const CommandLine::FlagUse& use : line_.flags)
      settings_.Set(*use.flag, {use.value, use.written});
    ApplyEnvironment();
    if (!skipped_.empty()) {
      context_.warn(
          fmt::format("{} keys in the configuration are not known here and were skipped: {}",
                      skipped_.size(), Join(skipped_, ", ")));
    }
    RETURN_IF_ERROR(settings_.CheckAll());
    return std::move(settings_);
  }

 private:
  std::string ConfigPath() const {
    for (auto use = line_.flags.rbegin(); use != line_.flags.rend(); ++use) {
      if (use->flag->name == "config") return use->value;
    }
    const Flag* flag = FindFlag(line_.command, "config");
    return context_.environment(flag->EnvironmentName(context_.distribution.env_prefix))
        .value_or(std::string(context_.distribution.config_file));
  }

  Status ApplyFile(const std::string& path) {
    ASSIGN_OR_RETURN(const std::vector<Key> keys, ReadConfigFile(context_.fs, path));
    for (const Key& key : keys) {
      const Flag* flag = FindFlag(line_.command, key.name);
      if (flag == nullptr || flag->OnlyOnCommandLine()) {
        RETURN_IF_ERROR(OnUnknown(key));
        continue;
      }
      std::vector<FlagValue> values;
      if (key.append && accumulated_.contains(flag)) values = accumulated_[flag];
      values.insert(values.end(), key.values.begin(), key.values.end());
      accumulated_[flag] = values;
      settings_.Replace(*flag, values);
    }
    return OkStatus();
  }

  Status OnUnknown(const Key& key) {
    if (IsKnownFlag(key.name)) return OkStatus();
    if (context_.distribution.foreign_config_keys) {
      if (std::find(skipped_.begin(), skipped_.end(), key.name) == skipped_.end())
        skipped_.push_back(key.name);
      return OkStatus();
    }
    const std::string suggestion = SuggestFlag(kServer, key.name);
    return WithHint(InvalidArgumentError("{}: unknown key \"{}\"", key.where, key.name),
                    suggestion.empty() ? "See `server --help` for the keys."
                                       : fmt::format("Did you mean {}?", suggestion));
  }

  void ApplyEnvironment() {
    for (const Flag& flag : AllFlags()) {
      if ((flag.commands & line_.command) == 0 || settings_.IsSet(flag.name)) continue;
      for (const std::string& name : {flag.EnvironmentName(context_.distribution.env_prefix),
                                      std::string(flag.foreign_env)}) {
        const auto value = name.empty() ? std::nullopt : context_.environment(name);
        if (value && !value->empty()) {
          settings_.Set(flag, {*value, name});
          break;
        }
      }
    }
  }

  const CommandLine& line_;
  const LoadContext& context_;
  Settings settings_;
  std::map<const Flag*, std::vector<FlagValue>> accumulated_;
  std::vector<std::string> skipped_;
};

}  // namespace

StatusOr<Settings> LoadSettings(const CommandLine& line, const LoadContext& context) {
  return Loader(line, context).Run();
}

}  // namespace holdfast
