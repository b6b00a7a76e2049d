// The beginning of an archive of pg_dump's custom format: header and table of contents (TOC). What we need of it is read,
// and one entry can be added.
//
//   "PGDMP" version (3 bytes) size of integers, size of offsets, format (1 = custom)
//   compression; seven integers of the time; database, version of the server, version of pg_dump
//   number of entries, entries
//   data blocks (archive.h)
//
// An integer is a sign byte and 4 bytes, little endian; a string an integer for its length (-1: none) and its bytes.
// Source: PostgreSQL src/bin/pg_dump/pg_backup_archiver.{h,c} (WriteHead, WriteToc), pg_backup_custom.c; versions 1.14
// (PostgreSQL 12 to 15), 1.15 (16: one byte for the compression), 1.16 (17 and 18: relkind).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace holdfast::pgdump {

// What an archive begins with; 11 bytes are enough to tell.
bool IsCustomArchive(ByteSpan first_bytes);

enum class Section : std::int32_t { kNone = 1, kPreData = 2, kData = 3, kPostData = 4 };

// One object; strings that the archive does not have are empty.
struct Entry {
  std::int32_t id = 0;
  bool has_data = false;  // a data block of this id follows
  std::string oid, tag, kind, definition, copy_statement, schema, owner;
  std::int32_t section = 0;
  std::size_t position = 0;  // of its first byte in Head::bytes
};

struct Head {
  int version_minor = 0;  // of the format: 1.14 gives 14
  bool compressed = false;
  std::string database, server_version, dump_version;
  std::vector<Entry> entries;
  std::string bytes;               // all of it, as it came
  std::size_t count_position = 0;  // where the number of entries stands in `bytes`

  // As `SET client_encoding` of the archive says: "UTF8"; empty: not there.
  std::string Encoding() const;
};

// At most so much is kept.
inline constexpr std::size_t kHeadBytesMax = 64 * kMiB;

class HeadParser {
 public:
  // Takes what is of the head and says how much that was: less than all means that the head is complete.
  // Errors: kDataLoss, with the position; kUnimplemented: a version of the format that we do not know.
  StatusOr<std::size_t> Take(ByteSpan data);

  bool complete() const { return complete_; }
  const Head& head() const { return head_; }
  Head& head() { return head_; }

 private:
  StatusOr<bool> ParseStart();
  StatusOr<bool> ParseEntry();

  Head head_;
  std::size_t at_ = 0;  // parsed up to here
  bool started_ = false, complete_ = false;
  std::int32_t entries_left_ = 0;
};

// Data for `table` (an entry of kind TABLE) that is loaded by `copy_statement`: what is added to the TOC in front of the
// first entry with data, and the id that its data block has.
struct AddedData {
  std::string head;  // the bytes of the head, with that entry
  std::int32_t id = 0;
};
AddedData AddTableData(const Head& head, const Entry& table, std::string_view copy_statement);

void AppendInteger(std::string& out, std::int32_t value);

// An integer of the archive's form is so long.
inline constexpr std::size_t kIntegerBytes = 5;
StatusOr<std::int32_t> LoadInteger(const std::uint8_t* bytes);

}  // namespace holdfast::pgdump
