// Any text must be no dump, or give the same facts in whatever pieces it comes.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "formats/mysqldump/dump_reader.h"

namespace {

using holdfast::ByteSpan;
using holdfast::StatusOr;
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const StatusOr<DumpFacts> whole = Read({data, size}, size + 1), pieces = Read({data, size}, 3);
  CHECK(whole.status().code() == pieces.status().code());
  if (!whole.ok()) return 0;
  CHECK(whole->kine.has_value() == pieces->kine.has_value());
  CHECK(!whole->kine || whole->kine->content_hash == pieces->kine->content_hash);
  CHECK(whole->largest_statement == pieces->largest_statement);
  return 0;
}
