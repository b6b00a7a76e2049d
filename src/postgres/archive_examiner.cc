#include "postgres/archive_examiner.h"

#include <optional>

#include "base/checksum.h"
#include "formats/pgdump/archive.h"
#include "postgres/kine_rows.h"

namespace holdfast::postgres {
namespace {

constexpr std::string_view kBinaryCopy = ") FROM stdin WITH (FORMAT binary);\n";

bool HasKineRows(const pgdump::Entry& entry) {
  return entry.kind == "TABLE DATA" && entry.tag == "kine" &&
         entry.copy_statement.ends_with(fmt::format("({}{}", pgdump::kKineColumns, kBinaryCopy));
}

class ArchiveExaminer final : public Examiner, private pgdump::ArchiveEvents {
 public:
  Status Write(ByteSpan data) override {
    hash_.Update(data);
    facts_.bytes += data.size();
    return archive_.Write(data);
  }

  Status Finish() override {
    RETURN_IF_ERROR(archive_.Finish());
    if (found_) content_.Finish(facts_);
    facts_.sha256 = HexOf(hash_.Finish());
    return OkStatus();
  }

  const SnapshotFacts& facts() const override { return facts_; }

 private:
  Status OnHead(const pgdump::Head&) override { return OkStatus(); }

  Status OnData(const pgdump::Entry& entry, ByteSpan piece) override {
    if (!HasKineRows(entry)) return OkStatus();
    return rows_.Write(piece);
  }

  Status OnDataEnd(const pgdump::Entry& entry) override {
    if (!HasKineRows(entry)) return OkStatus();
    found_ = true;
    return rows_.Finish();
  }

  SnapshotFacts facts_;
  Sha256 hash_;
  pgdump::ArchiveReader archive_{*this};
  ContentRows content_;
  pgdump::KineCopyReader rows_{content_};
  bool found_ = false;
};

}  // namespace

std::string KineCopyStatement(const std::string& quoted_table) {
  return fmt::format("COPY {} ({}{}", quoted_table, pgdump::kKineColumns, kBinaryCopy);
}

std::unique_ptr<Examiner> MakeArchiveExaminer() { return std::make_unique<ArchiveExaminer>(); }

}  // namespace holdfast::postgres
