#include "postgres/endpoint.h"

#include <libpq-fe.h>

#include <memory>

#include "base/text.h"

namespace holdfast::postgres {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { ::PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// What is never shown; libpq marks passwords so.
bool IsSecret(const PQconninfoOption& option) { return std::string_view(option.dispchar) == "*"; }

// 'a value', as in "keyword='a value'".
std::string Quoted(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

StatusOr<Endpoint> ParseEndpoint(const DatastoreOptions& options) {
  constexpr std::string_view kDefault = "postgres://postgres:postgres@localhost/";
  std::string url = options.endpoint.reveal();
  if (url == "postgres://" || url == "postgresql://") url = kDefault;
  char* reason = nullptr;
  const Options parsed(::PQconninfoParse(url.c_str(), &reason));
  const std::unique_ptr<char, decltype(&::PQfreemem)> message(reason, &::PQfreemem);
  if (parsed == nullptr) {
    // Other reasons quote the whole URL.
    const std::string_view text = Trim(reason == nullptr ? "" : reason);
    const bool shown = text.starts_with("invalid URI query parameter");
    return WithHint(
        InvalidArgumentError("the endpoint is not understood{}{}", shown ? ": " : "",
                             shown ? text : ""),
        "It looks like postgres://user:password@host:5432/database?sslmode=verify-full; special "
        "characters of a password are percent-encoded.");
  }
  Endpoint out;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) out.settings[option->keyword] = option->val;
  }
  if (out.settings.contains("sslpassword"))
    return InvalidArgumentError("sslpassword cannot be handed to pg_dump: use a key without one");
  const auto set_default = [&](const char* keyword, std::string_view value) {
    std::string& setting = out.settings[keyword];
    if (setting.empty()) setting = value;
  };
  set_default("host", "localhost");
  set_default("user", "postgres");
  const bool named_outright = url.find("dbname=") != std::string::npos;
  set_default("dbname", "kubernetes");
  if (!named_outright) out.settings["dbname"] = ToLower(out.settings["dbname"]);
  if (!options.ca_file.empty()) set_default("sslrootcert", options.ca_file);
  if (!options.certificate_file.empty()) set_default("sslcert", options.certificate_file);
  if (!options.key_file.empty()) set_default("sslkey", options.key_file);
  if (!options.ca_file.empty() || !options.certificate_file.empty())
    set_default("sslmode", "verify-full");
  set_default("application_name", "holdfast");
  set_default("connect_timeout", "10");
  return out;
}

std::string Endpoint::Location() const {
  const auto port = settings.find("port");
  return fmt::format("postgres://{}@{}{}{}/{}", settings.at("user"), settings.at("host"),
                     port == settings.end() ? "" : ":", port == settings.end() ? "" : port->second,
                     database());
}

std::vector<std::string> Endpoint::ToolEnvironment() const {
  std::vector<std::string> out;
  const Options known(::PQconndefaults());
  for (const PQconninfoOption* option = known.get(); option->keyword != nullptr; ++option) {
    const auto setting = settings.find(option->keyword);
    if (option->envvar != nullptr && setting != settings.end())
      out.push_back(fmt::format("{}={}", option->envvar, setting->second));
  }
  return out;
}

std::string Endpoint::ToolDatabase(const std::string& database) const {
  std::string out = "dbname=" + Quoted(database);
  const Options known(::PQconndefaults());
  for (const PQconninfoOption* option = known.get(); option->keyword != nullptr; ++option) {
    const auto setting = settings.find(option->keyword);
    if (option->envvar == nullptr && !IsSecret(*option) && setting != settings.end())
      out += fmt::format(" {}={}", option->keyword, Quoted(setting->second));
  }
  return out;
}

}  // namespace holdfast::postgres
