#include "cli/given_snapshot.h"

#include "base/path.h"
#include "os/system_clock.h"

namespace holdfast {

StatusOr<FetchRequest> RequestGiven(const CommandContext& context, const SnapshotPlace& place) {
  if (context.positionals.size() != 1) {
    return InvalidArgumentError("expected one argument, the snapshot; found {}",
                                context.positionals.size());
  }
  const std::string& directory = context.host.working_directory;
  ASSIGN_OR_RETURN(const S3Settings s3,
                   ReadS3Settings(context.settings, context.distribution, directory));
  return FetchRequest{
      .given = context.positionals[0],
      .working_directory = directory,
      .place = place,
      .s3_on = s3.on.value_or(false),
      .s3 = s3.options,
      .open_s3 = MakeS3Opener(place.fs, SystemClock(), SystemRandom(), context.stop),
      .stop = context.stop};
}

StatusOr<OpenedSnapshot> OpenGiven(const CommandContext& context) {
  FileSystem& fs = PosixFileSystem();
  const std::string& directory = context.host.working_directory;
  ASSIGN_OR_RETURN(FetchRequest request,
                   RequestGiven(context, {.fs = fs, .directory = directory, .node = ""}));
  // The server's bucket in the configuration is not asked for a file on this host.
  request.s3_on = request.s3_on && !context.settings.IsFromFile("etcd-s3");
  if (!request.s3_on && !request.given.starts_with("s3://")) {
    constexpr std::string_view kFileScheme = "file://";
    request.given = AbsolutePath(request.given.starts_with(kFileScheme)
                                     ? request.given.substr(kFileScheme.size())
                                     : request.given,
                                 directory);
    ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(request.given), "snapshot");
    if (info.kind != FileKind::kFile) {
      return InvalidArgumentError("snapshot path must be a file, not a directory: {}",
                                  request.given);
    }
  }
  return OpenSnapshot(request);
}

}  // namespace holdfast
