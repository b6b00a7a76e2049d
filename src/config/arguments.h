// Command lines as RKE2's users write them, brought into one form: command words first, then every flag as --name=value,
// then the rest. What is accepted (Go's flag syntax, and flags anywhere):
//   -name X, --name X, -name=X, --name=X are the same; -c X is --config X
//   a boolean takes a value only with "=": --cluster-reset, --etcd-s3=false
//   flags may stand before, between and behind the command words and arguments; "--" ends them
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/flags.h"

namespace holdfast {

struct CommandLine {
  Command command = kVersion;
  bool help = false;               // asked for, or there is nothing to run
  std::vector<std::string> words;  // {"etcd-snapshot", "save"}; what help is about
  struct FlagUse {
    const Flag* flag;
    std::string value;
    std::string written;  // "--dir", for messages
  };
  std::vector<FlagUse> flags;
  std::vector<std::string> positionals;
};

// `arguments` without the program's name. kInvalidArgument names the word that is wrong and what was probably meant.
StatusOr<CommandLine> ParseArguments(const std::vector<std::string>& arguments);

}  // namespace holdfast
