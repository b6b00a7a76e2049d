// The cluster's paths (cluster_routes.h) on a server that is no member of one: each answers why there is nothing, and where
// the thing is to be had.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http_server.h"

namespace holdfast {

std::vector<Route> RefusedClusterRoutes(std::string_view distribution, const std::string& reason);

}  // namespace holdfast
