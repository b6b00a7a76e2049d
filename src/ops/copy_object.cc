#include "ops/copy_object.h"

#include "stream/access_source.h"
#include "stream/pump.h"

namespace holdfast {
Status CopyObject(ObjectStore& from, ObjectStore& to, const std::string& name,
                  const CopyOptions& options) {
  ASSIGN_OR_RETURN(const auto original, from.Open(name));
  ASSIGN_OR_RETURN(const std::uint64_t total, original->Size());
  ASSIGN_OR_RETURN(const auto object, to.Create(name, {.bytes_expected = total,
                                                       .attributes = options.attributes,
                                                       .stop = options.stop}));
  std::vector<Sink*> sinks = {object.get()};
  if (options.sink != nullptr) sinks.push_back(options.sink);
  PumpOptions pump{.stop = options.stop};
  if (options.on_progress)
    pump.on_progress = [&](std::uint64_t done) { options.on_progress(done, total); };
  AccessSource source(*original);
  ASSIGN_OR_RETURN(const std::uint64_t copied, Pump(source, sinks, pump));
  if (copied != total)
    return DataLossError("{} ended after {} of {} bytes", from.Location(name), copied, total);
  if (options.check) RETURN_IF_ERROR(options.check(copied));
  return object->Commit();
}

}  // namespace holdfast
