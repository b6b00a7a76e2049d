// --help and the manual page, both from the flag table.
#pragma once

#include <string>
#include <vector>

#include "base/distribution.h"
#include "base/status.h"

namespace holdfast {

// Help about a command ({"etcd-snapshot", "save"}), or about the program (no words).
std::string HelpText(const std::vector<std::string>& words, const Distribution& distribution);

// The manual page holdfast(8) in roff.
std::string ManualPage(const Distribution& distribution);

}  // namespace holdfast
