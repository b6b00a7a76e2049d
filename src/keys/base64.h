// Standard base64 with padding (RFC 4648 section 4), as Go's base64.StdEncoding writes and reads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

std::string Base64Encode(ByteSpan bytes);

// The bytes, or nothing if `text` is not base64. Line breaks are skipped, as Go does; padding must be there.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace holdfast
