// An archive of pg_dump, in two pieces, with whatever it says are the rows of a kine table.
#include "formats/pgdump/archive.h"
#include "formats/pgdump/copy_binary.h"
#include "formats/pgdump/sql.h"

namespace {

using namespace holdfast;

struct Ignore final : pgdump::ArchiveEvents, pgdump::KineRowEvents {
  Status OnHead(const pgdump::Head& head) override {
    for (const pgdump::Entry& entry : head.entries) {
      (void)pgdump::RolesNamed(entry);
      if (pgdump::IsOfDatabase(entry)) (void)pgdump::ForDatabase(entry, "other", "\"other\"");
    }
    (void)pgdump::DatabaseOptions(head, 15);
    if (head.entries.empty()) return OkStatus();
    const pgdump::AddedData added = pgdump::AddTableData(head, head.entries[0], "COPY");
    pgdump::HeadParser again;
    CHECK(again.Take(BytesOf(added.head)).ok() && again.complete());
    return OkStatus();
  }
  Status OnData(const pgdump::Entry&, ByteSpan piece) override { return rows.Write(piece); }
  Status OnDataEnd(const pgdump::Entry&) override { return OkStatus(); }
  Status OnRow(const pgdump::KineRow&) override { return OkStatus(); }
  Status OnValue(ByteSpan) override { return OkStatus(); }
  Status OnOldValue(ByteSpan) override { return OkStatus(); }
  Status OnRowEnd(bool) override { return OkStatus(); }
  pgdump::KineCopyReader rows{*this};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Ignore events;
  pgdump::ArchiveReader reader(events);
  const ByteSpan all(data, size);
  const std::size_t cut = size > 0 ? data[size - 1] % size : 0;
  if (reader.Write(all.first(cut)).ok() && reader.Write(all.subspan(cut)).ok())
    (void)reader.Finish();
  return 0;
}
