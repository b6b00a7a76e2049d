#include "cli/table.h"

#include "base/text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

// A text that some YAML reader (1.1 or 1.2) takes for a number, a time, a truth value or nothing, if it stands without
// quotes.
bool LooksLikeMore(const std::string& text) {
  static constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no",  "on",
                                                             "off",  "y",     "n",   "null"};
  if (text.empty()) return true;
  const auto first = static_cast<unsigned char>(text[0]);
  const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') ||
                      first == '/' || first >= 0x80;
  return !letter || std::find(kWords.begin(), kWords.end(), ToLower(text)) != kWords.end();
}

void Emit(YAML::Emitter& out, const nlohmann::json& json) {
  switch (json.type()) {
    case nlohmann::json::value_t::object:
      if (json.empty()) {
        out << YAML::Flow << YAML::BeginMap << YAML::EndMap;
        return;
      }
      out << YAML::BeginMap;
      for (const auto& [key, value] : json.items()) {
        out << YAML::Key << key << YAML::Value;
        Emit(out, value);
      }
      out << YAML::EndMap;
      return;
    case nlohmann::json::value_t::array:
      if (json.empty()) {
        out << YAML::Flow << YAML::BeginSeq << YAML::EndSeq;
        return;
      }
      out << YAML::BeginSeq;
      for (const auto& value : json) Emit(out, value);
      out << YAML::EndSeq;
      return;
    case nlohmann::json::value_t::string: {
      const auto text = json.get<std::string>();
      if (LooksLikeMore(text)) {
        out << YAML::DoubleQuoted << text;
      } else {
        out << text;
      }
      return;
    }
    case nlohmann::json::value_t::null:
      out << YAML::Null;
      return;
    default:
      out << json.dump();
  }
}

}  // namespace

namespace {

// Code points: what a cell is wide, mostly.
std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] + 1 - Width(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

std::string JsonToYaml(const std::string& json) {
  YAML::Emitter out;
  Emit(out, nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false));
  return std::string(out.c_str()) + "\n";
}

}  // namespace holdfast
