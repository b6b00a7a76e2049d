// Whatever a datastore or a server hands us as bootstrap data must be refused or understood, never crash: the sealed
// value, the JSON in it, and the passwd file in that.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "keys/bootstrap.h"
#include "keys/passwd_file.h"
#include "keys/seal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  const std::string_view input = TextOf(ByteSpan(data, size));

  static_cast<void>(OpenSealed(input, Secret("secret")));

  if (const auto files = DecodeBootstrap(input); files.ok()) {
    const auto again = DecodeBootstrap(EncodeBootstrap(*files));
    CHECK(again.ok() && *again == *files);
  }

  if (const auto users = PasswdFile::Parse(input); users.ok()) {
    const std::string csv = users->Format().reveal();
    const auto again = PasswdFile::Parse(csv);
    CHECK(again.ok() && again->Format().reveal() == csv);
  }
  return 0;
}
