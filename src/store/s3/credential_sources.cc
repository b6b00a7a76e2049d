#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "store/s3/answers.h"
#include "store/s3/credentials.h"

namespace holdfast {
namespace {

using Found = StatusOr<std::optional<S3Credentials>>;

constexpr std::uint64_t kFileBytesMax = 1 * kMiB;
constexpr std::size_t kAnswerBytesMax = 64 * kKiB;
// Of services on this host or link. Where there is none, everybody waits so long.
constexpr absl::Duration kLocalTimeout = absl::Seconds(1);
constexpr absl::Duration kStsTimeout = absl::Seconds(10);
constexpr char kContainerHost[] = "http://169.254.170.2";
constexpr char kInstanceEndpoint[] = "http://169.254.169.254";

// What the sources share.
struct Place {
  S3Options options;
  S3Context context;

  std::string Variable(const char* name) const {
    return context.environment ? context.environment(name).value_or("") : "";
  }
};

Found FromSettings(const Place& place) {
  const S3Options& o = place.options;
  if (o.access_key.empty() && o.secret_key.empty()) return std::nullopt;
  if (o.access_key.empty() || o.secret_key.empty()) {
    LogWarn("s3: {} is set without {}: it is not used, other sources of credentials are tried",
            o.access_key.empty() ? "etcd-s3-secret-key" : "etcd-s3-access-key",
            o.access_key.empty() ? "etcd-s3-access-key" : "etcd-s3-secret-key");
    return std::nullopt;
  }
  return S3Credentials{
      .access_key = o.access_key, .secret_key = o.secret_key, .session_token = o.session_token};
}

Found FromEnvironment(const Place& place) {
  S3Credentials out{.access_key = place.Variable("AWS_ACCESS_KEY_ID"),
                    .secret_key = Secret(place.Variable("AWS_SECRET_ACCESS_KEY")),
                    .session_token = Secret(place.Variable("AWS_SESSION_TOKEN"))};
  if (out.access_key.empty() || out.secret_key.empty()) return std::nullopt;
  return out;
}

// The INI of ~/.aws/credentials: "[profile]", "name = value", comments with # or ;.
std::map<std::string, std::string> ReadProfile(std::string_view text, std::string_view profile) {
  std::map<std::string, std::string> values;
  bool inside = false;
  for (const std::string& raw : Split(text, '\n')) {
    const std::string_view line = Trim(raw);
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) {
      inside = line.ends_with(']') && Trim(line.substr(1, line.size() - 2)) == profile;
      continue;
    }
    const auto equals = line.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    values[ToLower(Trim(line.substr(0, equals)))] = Trim(line.substr(equals + 1));
  }
  return values;
}

Found FromSharedFile(const Place& place) {
  std::string path = place.Variable("AWS_SHARED_CREDENTIALS_FILE");
  const bool asked_for = !path.empty();
  if (!asked_for) {
    const std::string home = place.Variable("HOME");
    if (home.empty()) return std::nullopt;
    path = JoinPath(home, ".aws/credentials");
  }
  const auto text = ReadFile(place.context.fs, path, kFileBytesMax);
  if (!asked_for && absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  std::string profile = place.Variable("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  auto values = ReadProfile(*text, profile);
  S3Credentials out{.access_key = values["aws_access_key_id"],
                    .secret_key = Secret(values["aws_secret_access_key"]),
                    .session_token = Secret(values["aws_session_token"])};
  if (out.access_key.empty() || out.secret_key.empty())
    return NotFoundError("{}: no access key and secret key in the profile \"{}\"", path, profile);
  return out;
}

// One request to a service that hands out credentials.
StatusOr<std::string> Fetch(const Place& place, HttpRequest request) {
  request.body_bytes_max = kAnswerBytesMax;
  request.stop = place.context.stop;
  const std::unique_ptr<HttpClient> http = place.context.make_http();
  ASSIGN_OR_RETURN(HttpResponse answer, http->Do(request));
  if (answer.code == 200) return std::move(answer.body);
  // What it says may hold what was sent.
  if (const auto error = ParseS3Error(answer.body))
    return UnauthenticatedError("{} answers {} {}", request.url, answer.code, error->code);
  return UnauthenticatedError("{} answers {}", request.url, answer.code);
}

// A service of this host or link: no proxy, no patience.
HttpRequest LocalRequest(std::string url) {
  return {.url = std::move(url),
          .proxy = "",
          .connect_timeout = kLocalTimeout,
          .stall_timeout = kLocalTimeout};
}

// {"AccessKeyId": "...", "SecretAccessKey": "...", "Token": "...", "Expiration": "2025-07-22T10:02:03Z"}
Found FromJson(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto field = [&](const char* name) {
    if (!json.is_object()) return std::string();
    const auto it = json.find(name);
    return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  S3Credentials out{.access_key = field("AccessKeyId"),
                    .secret_key = Secret(field("SecretAccessKey")),
                    .session_token = Secret(field("Token"))};
  if (out.access_key.empty() || out.secret_key.empty())
    return UnauthenticatedError("the answer holds no credentials");
  if (const std::string expires = field("Expiration"); !expires.empty()) {
    ASSIGN_OR_RETURN(out.expires_at, ParseRfc3339(expires));
  }
  return out;
}

Found FromWebIdentity(const Place& place) {
  const std::string path = place.Variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
                    role = place.Variable("AWS_ROLE_ARN");
  if (path.empty() || role.empty()) return std::nullopt;
  // Kubernetes writes it anew before it expires.
  ASSIGN_OR_RETURN(const std::string token, ReadFile(place.context.fs, path, kFileBytesMax));
  std::string session = place.Variable("AWS_ROLE_SESSION_NAME");
  if (session.empty()) session = "holdfast";
  std::string endpoint = place.Variable("AWS_ENDPOINT_URL_STS");
  if (endpoint.empty()) {
    std::string region = place.Variable("AWS_REGION");
    if (region.empty()) region = place.Variable("AWS_DEFAULT_REGION");
    endpoint = region.empty() ? "https://sts.amazonaws.com"
                              : fmt::format("https://sts.{}.amazonaws.com{}", region,
                                            region.starts_with("cn-") ? ".cn" : "");
  }
  // In the body: a URL is logged on many a way.
  ASSIGN_OR_RETURN(
      const std::string answer,
      Fetch(place, {.method = "POST",
                    .url = endpoint + "/",
                    .headers = {"Content-Type: application/x-www-form-urlencoded"},
                    .body = QueryText({{"Action", "AssumeRoleWithWebIdentity"},
                                       {"Version", "2011-06-15"},
                                       {"RoleArn", role},
                                       {"RoleSessionName", session},
                                       {"WebIdentityToken", std::string(Trim(token))}}),
                    .stall_timeout = kStsTimeout}));
  ASSIGN_OR_RETURN(S3Credentials out, ParseAssumedRole(answer), "{}", endpoint);
  return out;
}

Found FromContainer(const Place& place) {
  std::string url = place.Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const std::string relative = place.Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) url = kContainerHost + relative;
  if (url.empty()) return std::nullopt;
  HttpRequest request = LocalRequest(url);
  std::string token = place.Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string path = place.Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !path.empty()) {
    ASSIGN_OR_RETURN(token, ReadFile(place.context.fs, path, kFileBytesMax));
  }
  if (!token.empty()) request.headers.push_back(fmt::format("Authorization: {}", Trim(token)));
  ASSIGN_OR_RETURN(const std::string answer, Fetch(place, std::move(request)));
  return FromJson(answer);
}

Found FromInstance(const Place& place) {
  if (ToLower(place.Variable("AWS_EC2_METADATA_DISABLED")) == "true") return std::nullopt;
  std::string endpoint = place.Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = kInstanceEndpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  HttpRequest ask_token = LocalRequest(endpoint + "/latest/api/token");
  ask_token.method = "PUT";
  ask_token.headers = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"};
  ASSIGN_OR_RETURN(const std::string token, Fetch(place, std::move(ask_token)));
  const auto get = [&](const std::string& path) {
    HttpRequest request =
        LocalRequest(endpoint + "/latest/meta-data/iam/security-credentials/" + path);
    request.headers = {fmt::format("X-aws-ec2-metadata-token: {}", Trim(token))};
    return Fetch(place, std::move(request));
  };
  ASSIGN_OR_RETURN(const std::string roles, get(""));
  const std::string role(Trim(Split(roles, '\n').front()));
  if (role.empty()) return NotFoundError("the instance has no role");
  ASSIGN_OR_RETURN(const std::string answer, get(EscapePath(role)));
  return FromJson(answer);
}

}  // namespace

std::vector<CredentialsSource> CredentialsSources(const S3Options& options,
                                                  const S3Context& context) {
  const auto place = std::make_shared<const Place>(Place{options, context});
  const auto source = [&](const char* name, Found (*find)(const Place&)) {
    return CredentialsSource{.name = name, .find = [place, find] { return find(*place); }};
  };
  return {source("settings", FromSettings),
          source("environment", FromEnvironment),
          source("shared credentials file", FromSharedFile),
          source("web identity", FromWebIdentity),
          source("container", FromContainer),
          source("instance metadata", FromInstance)};
}

}  // namespace holdfast
