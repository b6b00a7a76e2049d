#include "ops/rotate_token.h"

#include <map>

#include "base/log.h"
#include "etcd/health.h"
#include "identity/bootstrap_files.h"
#include "identity/sealed_bootstrap.h"
#include "keys/seal.h"

namespace holdfast {

StatusOr<Secret> RotateToken(FileSystem& fs, const DataLayout& layout, Random& random,
                             etcd::Client& client, const TokenFileOptions& tokens,
                             const Secret& to) {
  ASSIGN_OR_RETURN(const ServerToken parsed, ParseServerToken(to.reveal()));
  ASSIGN_OR_RETURN(const auto records, client.GetPrefix(std::string(kBootstrapKeyPrefix)));
  std::map<std::string, std::string> values;
  for (const etcd::KeyRecord& record : records) values[record.key] = record.value;
  RETURN_IF_ERROR(OpenBootstrap(values, tokens.password, "the datastore").status());

  // Not only that of the present token: a rotation that broke off may have left another, and a token that is given up must
  // open nothing.
  const std::string new_key = BootstrapKeyName(parsed.password);
  const auto remove_others = [&]() -> Status {
    for (const auto& [key, value] : values) {
      if (key != new_key) RETURN_IF_ERROR(client.Delete(key));
    }
    return OkStatus();
  };
  if (parsed.password == tokens.password) {
    if (values.size() < 2) return InvalidArgumentError("the new token is the one in force");
    RETURN_IF_ERROR(remove_others());
    LogInfo("The datastore opens with the token in force alone now (token hash {})",
            TokenHash(parsed.password));
    return parsed.password;
  }
  const auto store = [&]() -> Status {
    ASSIGN_OR_RETURN(const BootstrapData files, CollectBootstrapFiles(fs, layout));
    ASSIGN_OR_RETURN(const std::string sealed,
                     Seal(EncodeBootstrap(files), parsed.password, random));
    return client.Put(new_key, sealed);
  };
  // Twice: first so that a crash leaves no token without data (in the file that the next start reads), then with the passwd
  // file as it is now.
  RETURN_IF_ERROR(store());
  RETURN_IF_ERROR(etcd::CommitToFile(client, {}));
  TokenFileOptions with_new = tokens;
  with_new.password = parsed.password;
  RETURN_IF_ERROR(WriteTokenFiles(fs, layout, with_new));
  RETURN_IF_ERROR(store());
  RETURN_IF_ERROR(remove_others());
  LogInfo("Token rotated (token hash {} is now {}), restart {} nodes with new token",
          TokenHash(tokens.password), TokenHash(parsed.password), tokens.distribution);
  return parsed.password;
}

}  // namespace holdfast
