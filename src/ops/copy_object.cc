#include "ops/copy_object.h"

#include "stream/access_source.h"
#include "stream/pump.h"

namespace holdfast {
Status CopyObject(const RandomAccess& from, ObjectStore& to, const std::string& name,
                  const CopyOptions& options) {
  ASSIGN_OR_RETURN(const std::uint64_t total, from.Size());
  ASSIGN_OR_RETURN(const auto object, to.Create(name, {.bytes_expected = total,
                                                       .read_soon = options.read_soon,
                                                       .attributes = options.attributes,
                                                       .stop = options.stop}));
  std::vector<Sink*> sinks = {object.get()};
  if (options.sink != nullptr) sinks.push_back(options.sink);
  PumpOptions pump{.stop = options.stop};
  if (options.on_progress)
    pump.on_progress = [&](std::uint64_t done) { options.on_progress(done, total); };
  AccessSource source(from);
  ASSIGN_OR_RETURN(const std::uint64_t copied, Pump(source, sinks, pump));
  if (copied != total)
    return DataLossError("{} ended after {} of {} bytes", from.path(), copied, total);
  return object->Commit();
}

}  // namespace holdfast
