// What comes as JSON from disk and network: manifests, requests, answers.
#include "artifact/manifest.h"
#include "protocol/snapshot_api.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = Manifest::Decode(text); manifest.ok()) (void)manifest->Encode();
  if (const auto request = SnapshotRequest::Decode(text); request.ok()) (void)request->Encode();
  if (const auto list = DecodeSnapshotList(text); list.ok())
    (void)EncodeSnapshotList(*list, "etcd.holdfast.io");
  (void)SnapshotResult::Decode(text);
  (void)DecodeError(500, text);
  (void)DecodeLine(text);
  return 0;
}
