// A hostile etcd database: opened, inspected, observed as a stream and patched. Nothing may crash, read outside or hang.
#include <string>

#include "formats/bbolt/patch.h"
#include "formats/mvcc/inspect.h"
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
  (void)mvcc::Inspect(*database, {});
  Patch(*database);
  return 0;
}
