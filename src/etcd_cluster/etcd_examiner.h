// Reads an etcd snapshot to its end: is it whole, and what is in it?
#pragma once

#include "datastore/datastore.h"

namespace holdfast {

// As it passes by, without a second pass or a file: the digest at its end must be right. facts(): sha256 of the database
// without the digest; bytes of the whole stream; revision and compact_revision if the database was understood.
std::unique_ptr<Examiner> MakeEtcdExaminer();

// Also walks the whole structure, in a file without a name in `scratch_directory`: then live keys, content hash and
// bootstrap data are known as well, and damage that was there before the digest was made.
std::unique_ptr<Examiner> MakeDeepEtcdExaminer(FileSystem& fs, const std::string& scratch_directory,
                                               std::stop_token stop);

// A bbolt database begins so.
bool RecognizesEtcdSnapshot(ByteSpan first_bytes);

}  // namespace holdfast
