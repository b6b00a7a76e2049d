// A configuration file of any bytes, under our own name and a foreign one, and command lines made of them.
#include "config/load.h"
#include "config/server_options.h"
#include "testing/memory_fs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  testing::MemoryFs fs;
  for (const Distribution& distribution : Distributions()) {
    const std::string path(distribution.config_file);
    if (!MakeDirectories(fs, DirName(path), 0700).ok()) return 0;
    auto file = fs.Create(path, 0600);
    if (!file.ok() || !(*file)->WriteAt(0, {data, size}).ok()) return 0;
    const CommandLine line{.command = kServer, .words = {"server"}};
    const auto settings =
        LoadSettings(line, {.fs = fs,
                            .distribution = distribution,
                            .environment = [](const std::string&) { return std::nullopt; },
                            .warn = [](const std::string&) {}});
    if (settings.ok()) {
      (void)MakeServerOptions(*settings, distribution,
                              {.host_name = "h",
                               .node_address = "10.0.0.1",
                               .working_directory = "/",
                               .zone = absl::UTCTimeZone(),
                               .now = absl::UnixEpoch()});
    }
  }
  std::vector<std::string> words;
  for (std::string_view rest = text; !rest.empty();) {
    const auto blank = rest.find(' ');
    words.emplace_back(rest.substr(0, blank));
    rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
  }
  (void)ParseArguments(words);
  return 0;
}
