#include "sqlite/scratch_database.h"

#include <unistd.h>

#include "base/path.h"
#include "os/host.h"

namespace holdfast::sqlite {

StatusOr<ScratchDatabase> MakeScratchDatabase(FileSystem& fs, const std::string& directory,
                                              std::stop_token stop) {
  const std::string place = AbsolutePath(directory, WorkingDirectory());
  for (int i = 0;; ++i) {
    const std::string path = JoinPath(place, fmt::format(".holdfast-{}-{}.part", ::getpid(), i));
    ScratchDatabase out;
    auto file = fs.Create(path, 0600);
    if (absl::IsAlreadyExists(file.status())) continue;
    RETURN_IF_ERROR(file.status());
    out.file = *std::move(file);
    auto writer = Connection::Open(path, Access::kWrite, stop);
    auto reader = Connection::Open(path, Access::kImmutable, stop);
    auto second_reader = Connection::Open(path, Access::kImmutable, stop);
    RETURN_IF_ERROR(fs.RemoveFile(path));
    RETURN_IF_ERROR(writer.status());
    RETURN_IF_ERROR(reader.status());
    RETURN_IF_ERROR(second_reader.status());
    out.writer = *std::move(writer);
    out.reader = *std::move(reader);
    out.second_reader = *std::move(second_reader);
    return out;
  }
}

}  // namespace holdfast::sqlite
