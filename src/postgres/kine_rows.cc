#include "postgres/kine_rows.h"

namespace holdfast::postgres {

Status ContentRows::OnRow(const pgdump::KineRow& row) {
  reader_.BeginRow(row.id, row.name, row.deleted != 0, row.prev_revision);
  return OkStatus();
}

Status ContentRows::OnValue(ByteSpan piece) {
  reader_.Value(piece);
  return OkStatus();
}

Status ContentRows::OnRowEnd(bool) {
  reader_.EndRow();
  return OkStatus();
}

void ContentRows::Finish(SnapshotFacts& facts) {
  kine::Content content = reader_.Finish();
  facts.revision = content.revision;
  facts.compact_revision = content.compact_revision;
  facts.live_keys = content.live_keys;
  facts.content_hash = std::move(content.content_hash);
  facts.bootstrap = std::move(content.bootstrap);
}

Status WholeRows::OnRow(const pgdump::KineRow& row) {
  current_ = {.id = row.id,
              .name = row.name,
              .created = row.created != 0,
              .deleted = row.deleted != 0,
              .create_revision = row.create_revision,
              .prev_revision = row.prev_revision,
              .lease = row.lease,
              .value = {},
              .old_value = {}};
  old_value_.clear();
  return OkStatus();
}

Status WholeRows::OnValue(ByteSpan piece) {
  current_.value.append(TextOf(piece));
  return OkStatus();
}

Status WholeRows::OnOldValue(ByteSpan piece) {
  old_value_.append(TextOf(piece));
  return OkStatus();
}

Status WholeRows::OnRowEnd(bool has_old_value) {
  if (has_old_value) current_.old_value = std::move(old_value_);
  return row_(current_);
}

}  // namespace holdfast::postgres
