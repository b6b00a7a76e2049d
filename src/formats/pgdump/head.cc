#include "formats/pgdump/head.h"

#include <algorithm>
#include <optional>

#include "base/endian.h"

namespace holdfast::pgdump {
namespace {

constexpr std::string_view kMagic = "PGDMP";
constexpr std::size_t kFixedBytes = 11;
constexpr int kMinorMin = 14, kMinorMax = 16;
constexpr int kMinorCompressionByte = 15, kMinorRelkind = 16;
constexpr std::uint8_t kCustomFormat = 1;
constexpr std::size_t kOffsetBytes = 8;
constexpr std::uint8_t kOffsetNotSet = 1;

// Reads from bytes that may not be all there yet: then `short_` is set and everything read is empty.
class Cursor {
 public:
  Cursor(const std::string& bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  std::uint8_t Byte() { return Have(1) ? static_cast<std::uint8_t>(bytes_[at_++]) : 0; }
  void Skip(std::size_t n) {
    if (Have(n)) at_ += n;
  }
  std::int32_t Integer() {
    if (!Have(kIntegerBytes)) return 0;
    const auto value = LoadInteger(BytesOf(bytes_).data() + at_);
    if (!value.ok()) {
      broken_ = true;
      return 0;
    }
    at_ += kIntegerBytes;
    return *value;
  }
  std::optional<std::string> Text() {
    const std::int32_t length = Integer();
    if (short_ || broken_ || length < 0) return std::nullopt;
    const auto n = static_cast<std::size_t>(length);
    if (!Have(n)) return std::nullopt;
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }

  std::size_t at() const { return at_; }
  bool is_short() const { return short_; }
  bool broken() const { return broken_; }

 private:
  bool Have(std::size_t n) {
    if (short_ || broken_) return false;
    short_ = bytes_.size() - at_ < n;
    return !short_;
  }

  const std::string& bytes_;
  std::size_t at_;
  bool short_ = false, broken_ = false;
};

void AppendText(std::string& out, std::string_view text) {
  AppendInteger(out, CheckedCast<std::int32_t>(text.size()));
  out += text;
}

}  // namespace

bool IsCustomArchive(ByteSpan first_bytes) {
  return first_bytes.size() >= kFixedBytes && TextOf(first_bytes).starts_with(kMagic) &&
         first_bytes[10] == kCustomFormat;
}

StatusOr<std::int32_t> LoadInteger(const std::uint8_t* bytes) {
  const std::uint32_t magnitude = LoadLittle<std::uint32_t>(bytes + 1);
  if (bytes[0] > 1 || magnitude > INT32_MAX) return DataLossError("not an integer");
  const auto value = static_cast<std::int32_t>(magnitude);
  return bytes[0] == 1 ? -value : value;
}

void AppendInteger(std::string& out, std::int32_t value) {
  std::uint8_t bytes[kIntegerBytes] = {value < 0 ? std::uint8_t{1} : std::uint8_t{0}};
  StoreLittle(bytes + 1, static_cast<std::uint32_t>(value < 0 ? -value : value));
  out += TextOf(bytes);
}

std::string Head::Encoding() const {
  for (const Entry& entry : entries) {
    if (entry.kind != "ENCODING") continue;
    const std::size_t begin = entry.definition.find('\'');
    const std::size_t end = entry.definition.rfind('\'');
    if (begin < end) return entry.definition.substr(begin + 1, end - begin - 1);
  }
  return "";
}

StatusOr<std::size_t> HeadParser::Take(ByteSpan data) {
  if (complete_) return 0;
  const std::size_t before = head_.bytes.size();
  if (before + data.size() > kHeadBytesMax)
    data = data.first(std::min(data.size(), kHeadBytesMax - before));
  if (data.empty()) return DataLossError("the table of contents is longer than 64 MiB");
  head_.bytes.append(TextOf(data));
  if (!started_) {
    ASSIGN_OR_RETURN(started_, ParseStart());
  }
  while (started_ && entries_left_ > 0) {
    ASSIGN_OR_RETURN(const bool whole, ParseEntry());
    if (!whole) break;
  }
  complete_ = started_ && entries_left_ == 0;
  if (!complete_) return data.size();
  head_.bytes.resize(at_);
  return at_ - before;
}

StatusOr<bool> HeadParser::ParseStart() {
  const ByteSpan bytes = BytesOf(head_.bytes);
  if (bytes.size() < kFixedBytes) return false;
  if (!IsCustomArchive(bytes)) return DataLossError("not an archive of pg_dump's custom format");
  head_.version_minor = bytes[6];
  if (bytes[5] != 1 || head_.version_minor < kMinorMin || head_.version_minor > kMinorMax) {
    return UnimplementedError("archive of version {}.{}; 1.{} to 1.{} are known", bytes[5],
                              bytes[6], kMinorMin, kMinorMax);
  }
  if (bytes[8] != kIntegerBytes - 1 || bytes[9] != kOffsetBytes) {
    return UnimplementedError("archive with integers of {} and offsets of {} bytes", bytes[8],
                              bytes[9]);
  }
  Cursor cursor(head_.bytes, kFixedBytes);
  head_.compressed =
      head_.version_minor >= kMinorCompressionByte ? cursor.Byte() != 0 : cursor.Integer() != 0;
  for (int i = 0; i < 7; ++i) cursor.Integer();  // the time, in a zone that is not told
  head_.database = cursor.Text().value_or("");
  head_.server_version = cursor.Text().value_or("");
  head_.dump_version = cursor.Text().value_or("");
  head_.count_position = cursor.at();
  entries_left_ = cursor.Integer();
  if (cursor.broken() || entries_left_ < 0) return DataLossError("the header is damaged");
  if (cursor.is_short()) return false;
  at_ = cursor.at();
  return true;
}

StatusOr<bool> HeadParser::ParseEntry() {
  Cursor cursor(head_.bytes, at_);
  Entry entry;
  entry.position = at_;
  entry.id = cursor.Integer();
  entry.has_data = cursor.Integer() != 0;
  cursor.Text();  // oid of the catalogue's table
  entry.oid = cursor.Text().value_or("");
  entry.tag = cursor.Text().value_or("");
  entry.kind = cursor.Text().value_or("");
  entry.section = cursor.Integer();
  entry.definition = cursor.Text().value_or("");
  cursor.Text();  // DROP
  entry.copy_statement = cursor.Text().value_or("");
  entry.schema = cursor.Text().value_or("");
  cursor.Text();  // tablespace
  cursor.Text();  // access method
  if (head_.version_minor >= kMinorRelkind) cursor.Integer();
  entry.owner = cursor.Text().value_or("");
  cursor.Text();           // "false": with oids
  while (cursor.Text()) {  // dependencies
  }
  cursor.Skip(1 + kOffsetBytes);
  if (cursor.broken() || entry.id < 0 || entry.id == INT32_MAX ||
      (!cursor.is_short() && entry.id == 0))
    return DataLossError("the table of contents is damaged near byte {}", at_);
  if (cursor.is_short()) return false;
  at_ = cursor.at();
  --entries_left_;
  head_.entries.push_back(std::move(entry));
  return true;
}

AddedData AddTableData(const Head& head, const Entry& table, std::string_view copy_statement) {
  AddedData out;
  std::size_t position = head.bytes.size();
  for (const Entry& entry : head.entries) {
    out.id = std::max(out.id, entry.id);
    if (entry.section >= static_cast<std::int32_t>(Section::kData))
      position = std::min(position, entry.position);
  }
  ++out.id;
  std::string entry;
  const auto none = [&] { AppendInteger(entry, -1); };
  AppendInteger(entry, out.id);
  AppendInteger(entry, 1);
  AppendText(entry, "0");
  AppendText(entry, table.oid);
  AppendText(entry, table.tag);
  AppendText(entry, "TABLE DATA");
  AppendInteger(entry, static_cast<std::int32_t>(Section::kData));
  AppendText(entry, "");
  AppendText(entry, "");
  AppendText(entry, copy_statement);
  AppendText(entry, table.schema);
  none();
  none();
  if (head.version_minor >= kMinorRelkind) AppendInteger(entry, 0);
  AppendText(entry, table.owner);
  AppendText(entry, "false");
  AppendText(entry, fmt::format("{}", table.id));
  none();
  entry += static_cast<char>(kOffsetNotSet);
  entry.append(kOffsetBytes, '\0');

  const std::string_view bytes = head.bytes;
  const std::size_t entries = head.count_position + kIntegerBytes;
  out.head = bytes.substr(0, head.count_position);
  AppendInteger(out.head, CheckedCast<std::int32_t>(head.entries.size() + 1));
  out.head += bytes.substr(entries, position - entries);
  out.head += entry;
  out.head += bytes.substr(position);
  return out;
}

}  // namespace holdfast::pgdump
