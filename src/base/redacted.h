// A text that must never be seen: it prints as ***, whoever formats it. reveal() marks the few places that need it.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

namespace holdfast {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

}  // namespace holdfast

template <>
struct fmt::formatter<holdfast::Secret> : fmt::formatter<std::string_view> {
  auto format(const holdfast::Secret& secret, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(secret.empty() ? "" : "***", context);
  }
};
