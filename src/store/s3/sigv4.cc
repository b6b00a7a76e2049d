#include "store/s3/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace holdfast {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string Escape(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c) || (keep_slash && c == '/')) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string Hmac(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), CheckedCast<int>(key.size()), BytesOf(text).data(),
             text.size(), out, &size) != nullptr);
  return {reinterpret_cast<const char*>(out), size};
}

std::string Format(const char* format, absl::Time time) {
  return absl::FormatTime(format, time, absl::UTCTimeZone());
}

// "  a   b " as "a b".
std::string FoldBlanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out.push_back(c);
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

std::string EscapePath(std::string_view text) { return Escape(text, /*keep_slash=*/true); }
std::string EscapeQuery(std::string_view text) { return Escape(text, /*keep_slash=*/false); }

std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i > 2 && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string QueryText(const S3Query& query) {
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out.push_back('&');
    out.append(EscapeQuery(name)).append("=").append(EscapeQuery(value));
  }
  return out;
}

std::map<std::string, std::string> SignedHeaders(const S3Signable& request,
                                                 const S3Credentials& credentials,
                                                 const std::string& region, absl::Time now) {
  const std::string time = Format("%Y%m%d%ET%H%M%SZ", now), day = Format("%Y%m%d", now);
  std::map<std::string, std::string> headers = request.headers;
  headers["x-amz-date"] = time;
  headers["x-amz-content-sha256"] = request.payload_sha256;
  if (!credentials.session_token.empty())
    headers["x-amz-security-token"] = credentials.session_token.reveal();

  std::map<std::string, std::string> signing = headers;
  signing["host"] = request.host;
  std::string header_lines, header_names;
  for (const auto& [name, value] : signing) {
    header_lines += fmt::format("{}:{}\n", name, FoldBlanks(value));
    header_names += (header_names.empty() ? "" : ";") + name;
  }
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path, QueryText(request.query),
                  header_lines, header_names, request.payload_sha256);
  const std::string scope = fmt::format("{}/{}/s3/aws4_request", day, region);
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, HexOf(Sha256Of(BytesOf(canonical))));
  std::string key = "AWS4" + credentials.secret_key.reveal();
  for (const std::string& part : {day, region, std::string("s3"), std::string("aws4_request")})
    key = Hmac(key, part);
  headers["authorization"] =
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                  credentials.access_key, scope, header_names, HexOf(BytesOf(Hmac(key, to_sign))));
  return headers;
}

}  // namespace holdfast
