#include "store/s3/answers.h"

#include <fmt/format.h>

#include <pugixml.hpp>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::size_t kMessageBytesMax = 300;

// The root element, if the text is XML and that is its name.
StatusOr<pugi::xml_node> Root(pugi::xml_document& document, std::string_view xml,
                              const char* name) {
  const auto parsed = document.load_buffer(xml.data(), xml.size());
  if (!parsed)
    return DataLossError("the answer is not XML: {} at byte {}", parsed.description(),
                         parsed.offset);
  const pugi::xml_node root = document.child(name);
  if (!root) {
    return DataLossError("the answer is <{:.40}> where <{}> was expected",
                         document.first_child().name(), name);
  }
  return root;
}

std::string_view TextIn(const pugi::xml_node& node, const char* name) {
  return node.child(name).text().get();
}

// One printable line.
std::string Line(std::string_view text) {
  std::string out(Trim(text.substr(0, kMessageBytesMax)));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  return out;
}

StatusOr<std::string> Needed(const pugi::xml_node& node, const char* name) {
  const std::string_view text = TextIn(node, name);
  if (text.empty()) return DataLossError("the answer has no <{}> in <{}>", name, node.name());
  return std::string(text);
}

// A key of a listing that was asked for with encoding-type=url; servers that do not know it give it as it is.
std::string Key(const pugi::xml_node& root, std::string_view text) {
  return TextIn(root, "EncodingType") == "url" ? Unescape(text) : std::string(text);
}

bool IsTruncated(const pugi::xml_node& root) { return TextIn(root, "IsTruncated") == "true"; }

}  // namespace

std::string BareETag(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::optional<S3Error> ParseS3Error(std::string_view xml) {
  pugi::xml_document document;
  const auto root = Root(document, xml, "Error");
  if (!root.ok()) return std::nullopt;
  return S3Error{.code = Line(TextIn(*root, "Code")),
                 .message = Line(TextIn(*root, "Message")),
                 .region = Line(TextIn(*root, "Region"))};
}

StatusOr<S3ListPage> ParseListObjects(std::string_view xml) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node root, Root(document, xml, "ListBucketResult"));
  S3ListPage page;
  for (const pugi::xml_node& node : root.children("Contents")) {
    ASSIGN_OR_RETURN(const std::string key, Needed(node, "Key"));
    const auto bytes = ParseUint(TextIn(node, "Size"));
    if (!bytes) return DataLossError("the answer has no <Size> for {}", Line(key));
    ASSIGN_OR_RETURN(const absl::Time modified_at, ParseRfc3339(TextIn(node, "LastModified")));
    page.objects.push_back({.key = Key(root, key), .bytes = *bytes, .modified_at = modified_at});
  }
  if (IsTruncated(root)) {
    ASSIGN_OR_RETURN(page.next_token, Needed(root, "NextContinuationToken"));
  }
  return page;
}

StatusOr<S3UploadsPage> ParseListUploads(std::string_view xml) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node root, Root(document, xml, "ListMultipartUploadsResult"));
  S3UploadsPage page;
  for (const pugi::xml_node& node : root.children("Upload")) {
    ASSIGN_OR_RETURN(const std::string key, Needed(node, "Key"));
    ASSIGN_OR_RETURN(std::string id, Needed(node, "UploadId"));
    const auto begun_at = ParseRfc3339(TextIn(node, "Initiated"));
    page.uploads.push_back({.key = Key(root, key),
                            .id = std::move(id),
                            .begun_at = begun_at.value_or(absl::InfiniteFuture())});
  }
  if (IsTruncated(root)) {
    ASSIGN_OR_RETURN(const std::string key, Needed(root, "NextKeyMarker"));
    page.next_key = Key(root, key);
    page.next_id = TextIn(root, "NextUploadIdMarker");
  }
  return page;
}

StatusOr<std::string> ParseUploadId(std::string_view xml) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node root, Root(document, xml, "InitiateMultipartUploadResult"));
  return Needed(root, "UploadId");
}

std::string WriteCompletion(const std::vector<std::string>& etags) {
  std::string xml = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < etags.size(); ++i)
    xml +=
        fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", i + 1, etags[i]);
  return xml + "</CompleteMultipartUpload>";
}

StatusOr<S3Credentials> ParseAssumedRole(std::string_view xml) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node root,
                   Root(document, xml, "AssumeRoleWithWebIdentityResponse"));
  const pugi::xml_node node = root.child("AssumeRoleWithWebIdentityResult").child("Credentials");
  S3Credentials out;
  ASSIGN_OR_RETURN(out.access_key, Needed(node, "AccessKeyId"));
  ASSIGN_OR_RETURN(std::string secret, Needed(node, "SecretAccessKey"));
  ASSIGN_OR_RETURN(std::string token, Needed(node, "SessionToken"));
  ASSIGN_OR_RETURN(out.expires_at, ParseRfc3339(TextIn(node, "Expiration")));
  out.secret_key = Secret(std::move(secret));
  out.session_token = Secret(std::move(token));
  return out;
}

}  // namespace holdfast
