#include "ops/s3.h"

#include "os/host.h"
#include "protocol/snapshot_api.h"

namespace holdfast {
namespace {

S3Context ContextOf(FileSystem& fs, Clock& clock, Random& random, std::stop_token stop) {
  return {.fs = fs,
          .clock = clock,
          .random = random,
          .environment = [](const std::string& name) { return Environment(name.c_str()); },
          .stop = std::move(stop)};
}

}  // namespace

S3Opener MakeS3Opener(FileSystem& fs, Clock& clock, Random& random, std::stop_token stop) {
  return [&fs, &clock, &random, stop = std::move(stop)](const S3Options& options) {
    return OpenS3Store(options, ContextOf(fs, clock, random, stop));
  };
}

StatusOr<S3Folder> OpenS3(const S3Opener& opener, const S3Options& options) {
  ASSIGN_OR_RETURN(auto store, opener(options), "{}", kS3ClientFailed);
  return S3Folder{options, std::move(store)};
}

std::vector<S3CheckStep> CheckS3Folder(FileSystem& fs, Clock& clock, Random& random,
                                       const S3Options& options, std::stop_token stop) {
  return CheckS3(options, ContextOf(fs, clock, random, std::move(stop)));
}

}  // namespace holdfast
