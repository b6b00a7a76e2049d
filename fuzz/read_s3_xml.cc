// What an S3 service, or somebody who says to be one, answers as XML.
#include "store/s3/answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseS3Error(text);
  (void)ParseListObjects(text);
  (void)ParseListUploads(text);
  (void)ParseUploadId(text);
  (void)ParseAssumedRole(text);
  (void)Unescape(text);
  return 0;
}
