// An S3 service in memory, behind the HttpClient door, stricter than the real ones: it recomputes every signature from what
// was sent (with an HMAC and an escaping of its own), wants each x-amz- header and the content type signed, the payload's
// hash right, the clock within 15 minutes, query parameters sorted, known and escaped, parts of 5 MiB and in order.
// Tests put faults before and after it.
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/text.h"
#include "wire/http_client.h"

namespace holdfast::testing {

class FakeS3 {
 public:
  struct Object {
    std::string data, etag;
    std::map<std::string, std::string> headers;  // content-type, x-amz-meta-...
    absl::Time modified_at;
  };
  struct Upload {
    std::string key;
    std::map<std::string, std::string> headers;
    std::map<int, std::string> parts;
    absl::Time begun_at = {};
  };
  using Answer = StatusOr<HttpResponse>;

  explicit FakeS3(Clock& its_clock) : clock(its_clock) {}

  // Settings; change them while no request runs.
  Clock& clock;
  std::string host = "s3.test:9000", bucket = "bucket", region = "us-east-1";
  std::map<std::string, std::string> secrets = {{"AK", "SK"}};  // of access keys
  std::map<std::string, std::string> tokens;                    // that go with them
  std::size_t page_size = 1000, part_bytes_min = 5u << 20;
  bool etags_are_md5 = true;
  // Seen before the service does; an answer is given instead.
  std::function<std::optional<Answer>(const HttpRequest&)> before;
  // May change or lose an answer of something that was done.
  std::function<Answer(const HttpRequest&, Answer)> after;

  // What it keeps, by key and upload id.
  std::map<std::string, Object> objects;
  std::map<std::string, Upload> uploads;

  // "GET /bucket/a?b=" of each request, in order.
  std::vector<std::string> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  int CountRequests(const std::string& begin) {
    const auto all = requests();
    return static_cast<int>(
        std::count_if(all.begin(), all.end(), [&](const auto& r) { return r.starts_with(begin); }));
  }

  // As somebody else would, while requests run.
  void Overwrite(const std::string& key, std::string data) {
    const std::scoped_lock lock(mutex_);
    Put(key, std::move(data), {});
  }

  std::unique_ptr<HttpClient> MakeClient() { return std::make_unique<Client>(*this); }

  static HttpResponse Error(int code, const std::string& name, const std::string& message = "No.") {
    return {.code = code,
            .body = fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>{}</Message>"
                                "</Error>",
                                name, message)};
  }
  static std::string Md5(std::string_view data, bool raw = false) {
    unsigned char out[16];
    EVP_Digest(data.data(), data.size(), out, nullptr, EVP_md5(), nullptr);
    return raw ? std::string(reinterpret_cast<char*>(out), 16) : HexOf(ByteSpan(out, 16));
  }

 private:
  using Map = std::map<std::string, std::string>;

  class Client final : public HttpClient {
   public:
    explicit Client(FakeS3& s3) : s3_(s3) {}
    StatusOr<HttpResponse> Do(const HttpRequest& request) override { return s3_.Do(request); }

   private:
    FakeS3& s3_;
  };

  // A request taken apart.
  struct Parsed {
    const HttpRequest& http;
    std::string_view body;
    std::string raw_path, raw_query, key;
    Map query, headers;
  };

  Answer Do(const HttpRequest& http) {
    if (http.stop.stop_requested()) return CancelledError("stopped");
    const auto at = http.url.find('/', 7);
    {
      const std::scoped_lock lock(mutex_);
      requests_.push_back(http.method + " " + http.url.substr(at));
    }
    if (before) {
      if (auto instead = before(http)) return Deliver(http, *std::move(instead));
    }
    Answer answer = [&]() -> Answer {
      const std::scoped_lock lock(mutex_);
      return Handle(http);
    }();
    if (after) answer = after(http, std::move(answer));
    return Deliver(http, std::move(answer));
  }

  // Bodies are taken in odd pieces.
  static Answer Deliver(const HttpRequest& http, Answer answer) {
    if (!answer.ok()) return answer;
    const bool good = answer->code >= 200 && answer->code < 300;
    if (http.method == "HEAD") answer->body.clear();
    if (!http.on_body || !good) return answer;
    const std::string body = std::move(answer->body);
    answer->body.clear();
    for (std::size_t i = 0; i < body.size(); i += 999'999)
      if (Status taken = http.on_body(std::string_view(body).substr(i, 999'999)); !taken.ok())
        return taken;
    return answer;
  }

  Answer Handle(const HttpRequest& http) {
    if (!http.url.starts_with("http://" + host + "/"))
      return UnavailableError("{}: nobody there", http.url);
    Parsed request{.http = http,
                   .body = http.body_view.empty() ? std::string_view(http.body) : http.body_view};
    const std::string target = http.url.substr(7 + host.size());
    const auto question = target.find('?');
    request.raw_path = target.substr(0, question);
    if (question != std::string::npos) request.raw_query = target.substr(question + 1);
    if (auto bad = Parse(request)) return *std::move(bad);
    if (auto bad = CheckSignature(request)) return *std::move(bad);
    const std::string begin = "/" + bucket + "/";
    if (!request.raw_path.starts_with(begin)) return Error(404, "NoSuchBucket");
    request.key = Decode(request.raw_path.substr(begin.size()));
    return request.key.empty() ? OnBucket(request) : OnObject(request);
  }

  std::optional<HttpResponse> Parse(Parsed& request) {
    static const std::set<std::string> kKnown = {
        "list-type", "prefix",     "delimiter",  "continuation-token", "encoding-type", "max-keys",
        "uploads",   "key-marker", "partNumber", "upload-id-marker",   "uploadId"};
    if (Encode(Decode(request.raw_path), "/") != request.raw_path)
      return Error(400, "InvalidURI", request.raw_path);
    std::string last;
    if (!request.raw_query.empty())
      for (const std::string& item : Split(request.raw_query, '&')) {
        const auto equals = item.find('=');
        if (equals == std::string::npos) return Error(403, "SignatureDoesNotMatch", "no =");
        const std::string name = item.substr(0, equals), value = item.substr(equals + 1);
        if (name <= last || Encode(Decode(value), "") != value)
          return Error(403, "SignatureDoesNotMatch", "not canonical: " + item);
        if (!kKnown.contains(name)) return Error(501, "NotImplemented", name);
        request.query[name] = Decode(value);
        last = name;
      }
    for (const std::string& line : request.http.headers) {
      const auto colon = line.find(": ");
      // libcurl would leave out one without a value.
      if (colon == std::string::npos || colon + 2 == line.size() ||
          line.find('\n') != std::string::npos)
        return Error(400, "BadRequest", line);
      if (!request.headers.emplace(ToLower(line.substr(0, colon)), line.substr(colon + 2)).second)
        return Error(400, "BadRequest", "twice: " + line);
    }
    if (request.headers["host"] != host) return Error(400, "BadRequest", "host");
    return std::nullopt;
  }

  std::optional<HttpResponse> CheckSignature(const Parsed& request) {
    const auto header = [&](const char* name) {
      const auto it = request.headers.find(name);
      return it == request.headers.end() ? std::string() : it->second;
    };
    const std::string authorization = header("authorization");
    if (authorization.empty()) return Error(403, "AccessDenied", "anonymous");
    const auto field = [&](const std::string& name) {
      const auto at = authorization.find(name + "=");
      if (at == std::string::npos) return std::string();
      const auto from = at + name.size() + 1;
      return authorization.substr(from, authorization.find(',', from) - from);
    };
    const auto credential = Split(field("Credential"), '/');
    if (!authorization.starts_with("AWS4-HMAC-SHA256 ") || credential.size() != 5)
      return Error(400, "AuthorizationHeaderMalformed");
    const std::string access = credential[0], date = header("x-amz-date");
    if (!secrets.contains(access)) return Error(403, "InvalidAccessKeyId");
    if (tokens.contains(access) && tokens[access] != header("x-amz-security-token"))
      return Error(403, "InvalidToken");
    if (credential[2] != region) {
      HttpResponse wrong = Error(400, "AuthorizationHeaderMalformed");
      wrong.body.insert(wrong.body.find("</Error>"), "<Region>" + region + "</Region>");
      return wrong;
    }
    // "20250722T100203Z"
    std::string readable = date.size() == 16 ? date : std::string(16, 'x');
    for (const std::size_t at : {13u, 11u}) readable.insert(at, ":");
    for (const std::size_t at : {6u, 4u}) readable.insert(at, "-");
    const auto sent = ParseRfc3339(readable);
    if (!sent.ok() || !date.starts_with(credential[1])) return Error(403, "AccessDenied", "date");
    if (absl::AbsDuration(clock.Now() - *sent) > absl::Minutes(15)) {
      HttpResponse skewed = Error(403, "RequestTimeTooSkewed");
      skewed.headers = {{"date", DateText()}};
      return skewed;
    }
    const std::string hash = HexOf(Sha256Of(BytesOf(request.body)));
    if (header("x-amz-content-sha256") != hash) return Error(400, "XAmzContentSHA256Mismatch");

    const auto names = Split(field("SignedHeaders"), ';');
    if (!std::is_sorted(names.begin(), names.end()))
      return Error(403, "SignatureDoesNotMatch", "unsorted");
    for (const auto& [name, value] : request.headers) {
      const bool must = name == "host" || name == "content-type" || name.starts_with("x-amz-");
      if (must && std::find(names.begin(), names.end(), name) == names.end())
        return Error(403, "AccessDenied", "not signed: " + name);
    }
    std::string canonical =
        request.http.method + "\n" + request.raw_path + "\n" + request.raw_query + "\n";
    for (const std::string& name : names)
      canonical += name + ":" + Join(Words(header(name.c_str())), " ") + "\n";
    canonical += "\n" + field("SignedHeaders") + "\n" + hash;
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + date + "\n" + credential[1] + "/" + region +
                                "/s3/aws4_request\n" + HexOf(Sha256Of(BytesOf(canonical)));
    std::string key = "AWS4" + secrets[access];
    for (const std::string& part :
         {credential[1], region, std::string("s3"), std::string("aws4_request")})
      key = Hmac(key, part);
    if (field("Signature") != HexOf(BytesOf(Hmac(key, to_sign))))
      return Error(403, "SignatureDoesNotMatch");
    return std::nullopt;
  }

  Answer OnBucket(Parsed& request) {
    const std::string& method = request.http.method;
    if (method == "HEAD") return Good({});
    if (method == "GET" && request.query.contains("uploads")) return ListUploads(request.query);
    if (method == "GET" && request.query["list-type"] == "2") return ListObjects(request.query);
    return Error(501, "NotImplemented");
  }

  Answer OnObject(Parsed& request) {
    const std::string& method = request.http.method;
    if (request.query.contains("uploads") && method == "POST") return BeginUpload(request);
    if (request.query.contains("uploadId")) return OnUpload(request);
    if (!request.query.empty()) return Error(501, "NotImplemented");
    if (method == "PUT") {
      Object& object = Put(request.key, std::string(request.body), Kept(request.headers));
      return Good({{"etag", "\"" + object.etag + "\""}});
    }
    if (method == "DELETE") {
      objects.erase(request.key);
      return Good({}, "", 204);
    }
    const auto it = objects.find(request.key);
    if (it == objects.end()) return Error(404, "NoSuchKey");
    return Get(request, it->second);
  }

  Answer Get(Parsed& request, const Object& object) {
    std::vector<std::pair<std::string, std::string>> headers(object.headers.begin(),
                                                             object.headers.end());
    headers.emplace_back("etag", "\"" + object.etag + "\"");
    if (request.http.method == "HEAD") {
      headers.emplace_back("content-length", std::to_string(object.data.size()));
      return Good(std::move(headers));
    }
    if (request.headers.contains("if-match") &&
        request.headers["if-match"] != "\"" + object.etag + "\"")
      return Error(412, "PreconditionFailed");
    if (!request.headers.contains("range")) return Good(std::move(headers), object.data);
    const auto range = Split(request.headers["range"].substr(6), '-');
    const auto from = ParseUint(range.at(0)).value_or(0);
    const auto to = ParseUint(range.at(1)).value_or(object.data.size() - 1);
    if (from >= object.data.size() || to < from) return Error(416, "InvalidRange");
    headers.emplace_back("content-range",
                         fmt::format("bytes {}-{}/{}", from, to, object.data.size()));
    return Good(std::move(headers), object.data.substr(from, to - from + 1), 206);
  }

  Answer BeginUpload(Parsed& request) {
    const std::string id = "up/load+" + std::to_string(++next_id_);
    uploads[id] = {
        .key = request.key, .headers = Kept(request.headers), .parts = {}, .begun_at = clock.Now()};
    return Good({},
                "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                "<UploadId>" +
                    id + "</UploadId></InitiateMultipartUploadResult>");
  }

  Answer OnUpload(Parsed& request) {
    const std::string& method = request.http.method;
    const auto it = uploads.find(request.query["uploadId"]);
    if (it == uploads.end() || it->second.key != request.key) return Error(404, "NoSuchUpload");
    Upload& upload = it->second;
    if (method == "DELETE") {
      uploads.erase(it);
      return Good({}, "", 204);
    }
    if (method == "PUT") {
      const auto number = ParseUint(request.query["partNumber"]).value_or(0);
      if (number < 1 || number > 10'000) return Error(400, "InvalidArgument");
      upload.parts[static_cast<int>(number)] = request.body;
      return Good({{"etag", "\"" + ETag(request.body) + "\""}});
    }
    std::string expected = "<CompleteMultipartUpload>", data, md5s;
    for (const auto& [number, part] : upload.parts) {
      expected += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", number,
                              ETag(part));
      if (number != upload.parts.rbegin()->first && part.size() < part_bytes_min)
        return Error(400, "EntityTooSmall");
      data += part;
      md5s += Md5(part, /*raw=*/true);
    }
    if (request.body != expected + "</CompleteMultipartUpload>") return Error(400, "InvalidPart");
    Object& object = Put(upload.key, std::move(data), upload.headers);
    if (etags_are_md5) object.etag = fmt::format("{}-{}", Md5(md5s), upload.parts.size());
    uploads.erase(it);
    return Good({}, "<CompleteMultipartUploadResult><ETag>\"" + object.etag +
                        "\"</ETag></CompleteMultipartUploadResult>");
  }

  Answer ListObjects(Map& query) {
    std::string xml, next;
    std::size_t count = 0;
    const std::size_t max =
        std::min<std::size_t>(page_size, ParseUint(query["max-keys"]).value_or(page_size));
    for (const auto& [key, object] : objects) {
      const std::string& prefix = query["prefix"];
      if (!key.starts_with(prefix) || key <= query["continuation-token"]) continue;
      if (!query["delimiter"].empty() &&
          key.find(query["delimiter"], prefix.size()) != std::string::npos)
        continue;
      if (count++ == max) {
        next = last_listed_;
        break;
      }
      last_listed_ = key;
      xml += fmt::format(
          "<Contents><Key>{}</Key><LastModified>{}.000Z</LastModified><ETag>&quot;{}"
          "&quot;</ETag><Size>{}</Size></Contents>",
          Shown(key, query),
          absl::FormatTime("%Y-%m-%d%ET%H:%M:%S", object.modified_at, absl::UTCTimeZone()),
          object.etag, object.data.size());
    }
    if (!next.empty()) xml += "<NextContinuationToken>" + next + "</NextContinuationToken>";
    return Listing("ListBucketResult", std::move(xml), !next.empty(), query);
  }

  Answer ListUploads(Map& query) {
    std::string xml;
    std::size_t count = 0;
    bool truncated = false;
    for (const auto& [id, upload] : uploads) {
      if (!upload.key.starts_with(query["prefix"]) || id <= query["upload-id-marker"]) continue;
      if (count++ == page_size) {
        truncated = true;
        xml += fmt::format(
            "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{}</NextUploadIdMarker>",
            Shown(uploads[last_listed_].key, query), last_listed_);
        break;
      }
      last_listed_ = id;
      xml += fmt::format(
          "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>",
          Shown(upload.key, query), id,
          absl::FormatTime("%Y-%m-%dT%H:%M:%S.000Z", upload.begun_at, absl::UTCTimeZone()));
    }
    return Listing("ListMultipartUploadsResult", std::move(xml), truncated, query);
  }

  Answer Listing(const std::string& root, std::string xml, bool truncated, Map& query) {
    if (query.contains("encoding-type")) xml += "<EncodingType>url</EncodingType>";
    return Good(
        {},
        fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{0} xmlns=\"http://s3.amazonaws."
                    "com/doc/2006-03-01/\"><IsTruncated>{1}</IsTruncated>{2}</{0}>",
                    root, truncated, xml));
  }

  Object& Put(const std::string& key, std::string data, Map headers) {
    Object& object = objects[key];
    object = {.data = std::move(data),
              .etag = {},
              .headers = std::move(headers),
              .modified_at = clock.Now()};
    object.etag = ETag(object.data);
    return object;
  }

  std::string ETag(std::string_view data) const {
    return etags_are_md5 ? Md5(data) : "not-an-md5-" + std::to_string(data.size());
  }
  static Map Kept(const Map& headers) {
    Map kept;
    for (const auto& [name, value] : headers)
      if (name == "content-type" || name == "x-amz-storage-class" ||
          name.starts_with("x-amz-meta-") || name.starts_with("x-amz-server-side-encryption"))
        kept[name] = value;
    return kept;
  }
  Answer Good(std::vector<std::pair<std::string, std::string>> headers, std::string body = "",
              int code = 200) {
    headers.emplace_back("date", DateText());
    return HttpResponse{.code = code, .headers = std::move(headers), .body = std::move(body)};
  }
  std::string DateText() const {
    return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", clock.Now(), absl::UTCTimeZone());
  }
  static std::string Shown(const std::string& key, Map& query) {
    return query["encoding-type"] == "url" ? Encode(key, "/") : key;
  }

  static std::vector<std::string> Words(const std::string& text) {
    std::vector<std::string> words = Split(text, ' ');
    std::erase(words, "");
    return words;
  }
  static std::string Decode(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        out.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)));
        i += 2;
      } else {
        out.push_back(text[i]);
      }
    }
    return out;
  }
  static std::string Encode(const std::string& text, const std::string& kept) {
    std::string out;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x80 && std::isalnum(byte)) ||
          std::string("-._~" + kept).find(c) != std::string::npos) {
        out.push_back(c);
      } else {
        out += fmt::format("%{:02X}", byte);
      }
    }
    return out;
  }
  // RFC 2104.
  static std::string Hmac(std::string key, const std::string& text) {
    const auto hash = [](const std::string& data) {
      const Sha256Digest digest = Sha256Of(BytesOf(data));
      return std::string(TextOf(digest));
    };
    if (key.size() > 64) key = hash(key);
    key.resize(64, '\0');
    std::string inner = key, outer = key;
    for (char& c : inner) c = static_cast<char>(c ^ 0x36);
    for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
    return hash(outer + hash(inner + text));
  }

  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::string last_listed_;
  int next_id_ = 0;
};

}  // namespace holdfast::testing
