// Choosing and opening the bootstrap data among the /bootstrap/ keys of a datastore or a snapshot.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/redacted.h"
#include "base/status.h"
#include "keys/bootstrap.h"

namespace holdfast {

// `sealed`: the live keys below /bootstrap/ with their values. nullopt if there are none (a datastore that was not made by
// this family of programs). kUnauthenticated if none is sealed with this password: the message says which token hash is
// needed and which was given. `source` names the place in messages.
StatusOr<std::optional<BootstrapData>> OpenBootstrap(
    const std::map<std::string, std::string>& sealed, const Secret& password,
    std::string_view source);

// The hash of the token that opens what stands below /bootstrap/: `own` if one of the keys has it (or there is none), else
// that of the key there is. Another server may have rotated the token, and this one go on with the former until its next
// start.
std::string OpeningTokenHash(const std::vector<std::string>& keys, const std::string& own);

}  // namespace holdfast
