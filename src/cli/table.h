// Text for terminals: columns of equal width, and JSON turned to YAML.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

// Rows of cells, the first is the header; columns are padded with spaces to the widest cell and one more.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

// The same document as YAML, keys sorted, as RKE2 prints it.
std::string JsonToYaml(const std::string& json);

}  // namespace holdfast
