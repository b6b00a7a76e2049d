#include "config/arguments.h"

#include <array>
#include <optional>

#include "base/text.h"

namespace holdfast {
namespace {

struct CommandName {
  std::string_view word, sub;
  Command command;
};
constexpr std::array<CommandName, 26> kCommands = {{
    {"server", "", kServer},
    {"etcd-snapshot", "save", kSnapshotSave},
    {"etcd-snapshot", "ls", kSnapshotList},
    {"etcd-snapshot", "list", kSnapshotList},
    {"etcd-snapshot", "l", kSnapshotList},
    {"etcd-snapshot", "prune", kSnapshotPrune},
    {"etcd-snapshot", "delete", kSnapshotDelete},
    {"etcd-snapshot", "status", kSnapshotStatus},
    {"etcd-snapshot", "s3-check", kS3Check},
    {"restore", "", kRestore},
    {"agent", "", kAgent},
    {"node", "ls", kNodeList},
    {"node", "list", kNodeList},
    {"node", "remove", kNodeRemove},
    {"node", "", kNodeList},
    {"token", "show", kTokenShow},
    {"token", "rotate", kTokenRotate},
    {"token", "", kTokenShow},
    {"certificate", "rotate", kCertificateRotate},
    {"certificate", "", kCertificateRotate},
    {"datastore", "status", kDatastoreStatus},
    {"datastore", "migrate", kDatastoreMigrate},
    {"datastore", "", kDatastoreStatus},
    {"version", "", kVersion},
    {"help", "", kVersion},
    {"etcd-snapshot", "", kSnapshotList},  // alone it prints its help
}};

// Words that need a second one, and what that may be.
struct Group {
  std::string_view word, commands;
};
constexpr std::array<Group, 5> kGroups = {
    {{"etcd-snapshot", "save, ls, prune, delete, status and s3-check"},
     {"node", "ls and remove"},
     {"token", "show and rotate"},
     {"certificate", "rotate"},
     {"datastore", "status and migrate"}}};
constexpr std::string_view kCommandsHint =
    "Commands are server, agent, etcd-snapshot, node, token, certificate, restore, datastore, "
    "version and "
    "help.";

const Group* GroupOf(std::string_view word) {
  for (const Group& group : kGroups) {
    if (group.word == word) return &group;
  }
  return nullptr;
}

bool IsGroup(std::string_view word) { return GroupOf(word) != nullptr; }

bool IsFlag(std::string_view argument) { return argument.size() > 1 && argument[0] == '-'; }

// "--name=value" -> name, value.
struct Written {
  std::string name;
  std::optional<std::string> value;
};
Written Take(std::string_view argument) {
  argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
  const auto equals = argument.find('=');
  Written out{.name = std::string(argument.substr(0, equals)), .value = std::nullopt};
  if (equals != std::string_view::npos) out.value = argument.substr(equals + 1);
  return out;
}

// While the command is not known yet, a flag is what any command makes of it: enough to know whether the next word is its
// value.
bool TakesNextWord(const Written& written) {
  if (written.value || written.name == "h" || written.name == "help" || written.name == "version" ||
      written.name == "v")
    return false;
  for (const Flag& flag : AllFlags()) {
    if (flag.HasName(written.name)) return flag.type != FlagType::kBool;
  }
  return false;
}

// The first two words that are neither flags nor values of flags.
std::vector<std::string> CommandWords(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < arguments.size() && words.size() < 2; ++i) {
    if (arguments[i] == "--") break;
    if (!IsFlag(arguments[i])) {
      words.push_back(arguments[i]);
      if (!IsGroup(words[0])) break;
    } else if (TakesNextWord(Take(arguments[i]))) {
      ++i;
    }
  }
  return words;
}

StatusOr<CommandLine> FindCommand(std::vector<std::string> words) {
  CommandLine line;
  line.help = words.empty() || words[0] == "help" || (IsGroup(words[0]) && words.size() == 1);
  line.words = words;
  if (words.empty()) return line;
  for (const CommandName& name : kCommands) {
    if (name.word == words[0] &&
        (name.sub.empty() ? words.size() == 1 : words.size() == 2 && name.sub == words[1])) {
      line.command = name.command;
      return line;
    }
  }
  return WithHint(InvalidArgumentError("unknown command \"{}\"", Join(words, " ")),
                  IsGroup(words[0])
                      ? fmt::format("Commands of {} are {}.", words[0], GroupOf(words[0])->commands)
                      : std::string(kCommandsHint));
}

Status UnknownFlag(const CommandLine& line, const std::string& written, const std::string& name) {
  const std::string suggestion = SuggestFlag(line.command, name);
  return WithHint(InvalidArgumentError("unknown flag {} for {}", written, Join(line.words, " ")),
                  suggestion.empty() ? "Run it with --help to see its flags."
                                     : fmt::format("Did you mean --{}?", suggestion));
}

}  // namespace

StatusOr<CommandLine> ParseArguments(const std::vector<std::string>& arguments) {
  const std::vector<std::string> words = CommandWords(arguments);
  if (words.empty()) {
    for (const std::string& argument : arguments) {
      const std::string name = IsFlag(argument) ? Take(argument).name : "";
      if (name == "version" || name == "v")
        return CommandLine{.command = kVersion, .help = false, .words = {"version"}};
      if (name != "help" && name != "h") {
        return WithHint(InvalidArgumentError("unknown flag {}", argument), kCommandsHint);
      }
    }
  }
  ASSIGN_OR_RETURN(CommandLine line, FindCommand(words));
  std::size_t words_left = words.size();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      line.positionals.insert(line.positionals.end(),
                              arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                              arguments.end());
      break;
    }
    if (!IsFlag(argument)) {
      if (words_left > 0) {
        --words_left;
      } else {
        line.positionals.push_back(argument);
      }
      continue;
    }
    const Written written = Take(argument);
    const std::string shown = argument.substr(0, argument.find('='));
    if (written.name == "help" || written.name == "h") {
      line.help = true;
      continue;
    }
    const Flag* flag = FindFlag(line.command, written.name);
    if (flag == nullptr) return UnknownFlag(line, shown, written.name);
    std::string value;
    if (written.value) {
      value = *written.value;
    } else if (flag->type == FlagType::kBool) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return InvalidArgumentError("flag {} needs a value", shown);
    }
    line.flags.push_back({flag, std::move(value), shown});
  }
  if (!line.words.empty() && line.words[0] == "help") {
    if (!line.positionals.empty()) RETURN_IF_ERROR(FindCommand(line.positionals).status());
    line.words = line.positionals;
    line.positionals.clear();
  }
  return line;
}

}  // namespace holdfast
