// Any text must be no dump, or give the same facts in whatever pieces it comes; so must what is passed on of it.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "formats/mysqldump/database_eraser.h"
#include "formats/mysqldump/dump_reader.h"

namespace {

using holdfast::ByteSpan;
using holdfast::StatusOr;
using holdfast::mysqldump::DatabaseEraser;
using holdfast::mysqldump::DumpFacts;
using holdfast::mysqldump::DumpReader;

StatusOr<DumpFacts> Read(ByteSpan bytes, std::size_t piece_max) {
  DumpReader reader;
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min(bytes.size(), piece_max));
    RETURN_IF_ERROR(reader.Feed(piece));
    bytes = bytes.subspan(piece.size());
  }
  return reader.Finish();
}

StatusOr<std::string> Erased(ByteSpan bytes, std::size_t piece_max) {
  DatabaseEraser eraser;
  std::string out;
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min(bytes.size(), piece_max));
    ASSIGN_OR_RETURN(const ByteSpan passed, eraser.Feed(piece));
    out += holdfast::TextOf(passed);
    bytes = bytes.subspan(piece.size());
  }
  return out += holdfast::TextOf(eraser.Rest());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const StatusOr<DumpFacts> whole = Read({data, size}, size + 1), pieces = Read({data, size}, 3);
  CHECK(whole.status().code() == pieces.status().code());
  const StatusOr<std::string> erased = Erased({data, size}, size + 1);
  CHECK(erased.ok() || !whole.ok());
  if (erased.ok()) {
    CHECK(erased->size() == size);
    CHECK(*erased == *Erased({data, size}, 3));
  }
  if (!whole.ok()) return 0;
  CHECK(whole->objects == pieces->objects && whole->definers == pieces->definers);
  CHECK(whole->kine.has_value() == pieces->kine.has_value());
  CHECK(!whole->kine || whole->kine->content_hash == pieces->kine->content_hash);
  CHECK(whole->largest_statement == pieces->largest_statement);
  return 0;
}
