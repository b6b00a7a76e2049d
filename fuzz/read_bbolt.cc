// A hostile etcd database: opened, inspected, observed as a stream, gone through by live keys and patched. Nothing may
// crash, read outside or hang.
#include <cstdlib>
#include <string>

#include "formats/bbolt/patch.h"
#include "formats/mvcc/inspect.h"
#include "formats/mvcc/live_keys.h"
#include "formats/mvcc/stream_observer.h"
#include "stream/memory.h"

namespace holdfast {
namespace {

void Patch(const bbolt::Database& database) {
  auto patch = bbolt::Patch::Begin(database);
  if (!patch.ok()) return;
  (void)patch->ReadBucket("meta");
  patch->SetBucket("members", {{"1", "x"}});
  (void)patch->AppendToBucket("key", std::string(17, '\xff'), "");
  (void)std::move(*patch).Finish();
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  mvcc::StreamObserver observer;
  observer.Update({data, size});
  (void)observer.Finish();
  const StringAccess file(std::string(reinterpret_cast<const char*>(data), size));
  const auto database = bbolt::Database::Open(file);
  if (!database.ok()) return 0;
  const auto inspected = mvcc::Inspect(*database, {});
  std::uint64_t live = 0;
  const Status gone_through =
      mvcc::ForEachLiveKey(*database, [&](const mvcc::LiveKey&) { return ++live, OkStatus(); }, {});
  if (gone_through.ok() != inspected.ok() || (inspected.ok() && live != inspected->live_keys))
    std::abort();  // two ways to count the same
  Patch(*database);
  return 0;
}
