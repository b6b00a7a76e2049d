// The rows of a kine table in binary COPY, as what is asked of them: facts, or KeyRows.
#pragma once

#include <functional>

#include "datastore/datastore.h"
#include "formats/kine/content.h"
#include "formats/pgdump/copy_binary.h"

namespace holdfast::postgres {

// Learns what the table holds (formats/kine/content.h).
class ContentRows final : public pgdump::KineRowEvents {
 public:
  Status OnRow(const pgdump::KineRow& row) override;
  Status OnValue(ByteSpan piece) override;
  Status OnOldValue(ByteSpan) override { return OkStatus(); }
  Status OnRowEnd(bool has_old_value) override;

  // The last call: puts it into `facts`.
  void Finish(SnapshotFacts& facts);

 private:
  kine::ContentReader reader_;
};

// Hands the rows on, each with its values.
class WholeRows final : public pgdump::KineRowEvents {
 public:
  explicit WholeRows(const std::function<Status(const KeyRow&)>& row) : row_(row) {}

  Status OnRow(const pgdump::KineRow& row) override;
  Status OnValue(ByteSpan piece) override;
  Status OnOldValue(ByteSpan piece) override;
  Status OnRowEnd(bool has_old_value) override;

 private:
  const std::function<Status(const KeyRow&)>& row_;
  KeyRow current_;
  std::string old_value_;
};

}  // namespace holdfast::postgres
