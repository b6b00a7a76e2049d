// The head of any file must be no WAL segment, or tell a cluster.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "formats/member/raft_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto identity = holdfast::ReadWalIdentity({data, size});
  CHECK(!identity || identity->cluster_id != 0);
  return 0;
}
