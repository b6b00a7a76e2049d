// The kinds of datastores there are: the one table, and finding the right row.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "datastore/datastore.h"

namespace holdfast {

std::span<const DatastoreKind* const> DatastoreKinds();

// kInvalidArgument if the endpoint has no scheme, or one that nobody knows. No message holds more of it than the scheme.
StatusOr<const DatastoreKind*> KindOfEndpoint(const Secret& endpoint);

// By the first bytes of a payload; null if no kind knows them.
const DatastoreKind* KindOfPayload(ByteSpan first_bytes);

StatusOr<std::unique_ptr<Datastore>> OpenDatastore(const DatastoreOptions& options);

}  // namespace holdfast
