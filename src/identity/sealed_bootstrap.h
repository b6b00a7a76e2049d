// Choosing and opening the bootstrap data among the /bootstrap/ keys of a datastore or a snapshot.
#pragma once

#include <map>
#include <optional>
#include <string>

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

}  // namespace holdfast
