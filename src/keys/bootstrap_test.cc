#include "keys/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/text.h"

namespace holdfast {
namespace {

absl::Time At(std::string_view text) { return ParseRfc3339(text).value(); }

TEST(Bootstrap, EncodesByteForByteAsTheRealOne) {
  EXPECT_EQ(EncodeBootstrap({{"PasswdFile", {"hello\n", At("2025-01-02T03:04:05Z")}}}),
            "{\"PasswdFile\":{\"Timestamp\":\"2025-01-02T03:04:05Z\",\"Content\":\"aGVsbG8K\"}}\n");
  EXPECT_EQ(EncodeBootstrap({}), "{}\n");
}

TEST(Bootstrap, KeysAreSortedAndTimesKeepTheirNanoseconds) {
  const BootstrapData data = {{"ServerCA", {"", At("2025-01-02T03:04:05.123456789Z")}},
                              {"ClientCA", {"x", At("2025-01-02T03:04:05.5+02:00")}}};
  const std::string json = EncodeBootstrap(data);
  EXPECT_EQ(json,
            "{\"ClientCA\":{\"Timestamp\":\"2025-01-02T01:04:05.5Z\",\"Content\":\"eA==\"},"
            "\"ServerCA\":{\"Timestamp\":\"2025-01-02T03:04:05.123456789Z\",\"Content\":\"\"}}\n");
  EXPECT_EQ(*DecodeBootstrap(json), data);
}

TEST(Bootstrap, UnknownKeysSurvive) {
  const std::string json =
      "{\"CustomThing\":{\"Timestamp\":\"2025-01-02T03:04:05Z\",\"Content\":\"aGVsbG8K\"}}\n";
  const auto data = DecodeBootstrap(json);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->at("CustomThing").content, "hello\n");
  EXPECT_EQ(EncodeBootstrap(*data), json);
}

TEST(Bootstrap, OldFormHasNoTimes) {
  const auto data = DecodeBootstrap("{\"ServerCA\":\"aGVsbG8K\",\"ClientCA\":\"\"}");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(*data, (BootstrapData{{"ServerCA", {"hello\n", absl::UnixEpoch()}},
                                  {"ClientCA", {"", absl::UnixEpoch()}}}));
}

TEST(Bootstrap, GoZeroTimeMeansUnknown) {
  const auto data =
      DecodeBootstrap("{\"ServerCA\":{\"Timestamp\":\"0001-01-01T00:00:00Z\",\"Content\":\"\"}}");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->at("ServerCA").modified_at, absl::UnixEpoch());
}

TEST(Bootstrap, AnyContentComesBack) {
  std::mt19937 engine(1);
  const auto chance = [&](unsigned bound) { return static_cast<unsigned>(engine() % bound); };
  for (int round = 0; round < 200; ++round) {
    BootstrapData data;
    for (unsigned i = chance(5); i > 0; --i) {
      std::string content(chance(100), '\0');
      std::ranges::generate(content, [&] { return static_cast<char>(chance(256)); });
      const absl::Time time =
          absl::FromUnixSeconds(chance(4'000'000'000)) + absl::Nanoseconds(chance(1'000'000'000));
      data["Key \"\\<\n\xC3\xA9" + std::to_string(i)] = {content, time};
    }
    EXPECT_EQ(*DecodeBootstrap(EncodeBootstrap(data)), data) << "round " << round;
  }
}

TEST(Bootstrap, WrongShapesAreDataLossAndNameTheKey) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"", "bootstrap data are not a JSON object"},
      {"null", "bootstrap data are not a JSON object"},
      {"[]", "bootstrap data are not a JSON object"},
      {"{\"A\":\"\"}}", "bootstrap data are not a JSON object"},
      {"{\"A\":1}", "bootstrap data: A: no base64 content"},
      {"{\"A\":null}", "bootstrap data: A: no base64 content"},
      {"{\"A\":\"hunter2\"}", "bootstrap data: A: no base64 content"},
      {"{\"A\":{}}", "bootstrap data: A: no base64 content"},
      {"{\"A\":{\"Timestamp\":\"2025-01-02T03:04:05Z\",\"Content\":7}}",
       "bootstrap data: A: no base64 content"},
      {"{\"A\":{\"Timestamp\":\"2025-01-02T03:04:05Z\",\"Content\":null}}",
       "bootstrap data: A: no base64 content"},
      {"{\"A\":{\"Content\":\"\"}}", "bootstrap data: A: no RFC 3339 timestamp"},
      {"{\"A\":{\"Timestamp\":5,\"Content\":\"\"}}", "bootstrap data: A: no RFC 3339 timestamp"},
      {"{\"A\":{\"Timestamp\":\"today\",\"Content\":\"\"}}",
       "bootstrap data: A: no RFC 3339 timestamp"},
      {"{\"A\":{\"Timestamp\":\"infinite-past\",\"Content\":\"\"}}",
       "bootstrap data: A: no RFC 3339 timestamp"},
      {"{\"A\":{\"Timestamp\":\"12025-01-02T03:04:05Z\",\"Content\":\"\"}}",
       "bootstrap data: A: no RFC 3339 timestamp"}};
  for (const auto& [json, message] : kCases) {
    const Status status = DecodeBootstrap(json).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << json;
    EXPECT_EQ(MessageOf(status), message) << json;
  }
}

TEST(Bootstrap, DeepNestingIsRefusedWithoutOverflow) {
  EXPECT_FALSE(DecodeBootstrap("{\"A\":" + std::string(200'000, '[')).ok());
  EXPECT_FALSE(
      DecodeBootstrap("{\"A\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}")
          .ok());
}

TEST(Bootstrap, PathsAreSortedAndDistinct) {
  std::set<std::string_view> paths;
  for (const auto& [key, path] : BootstrapPaths()) paths.insert(path);
  EXPECT_EQ(paths.size(), BootstrapPaths().size());
  EXPECT_TRUE(std::ranges::is_sorted(BootstrapPaths(), {}, &BootstrapPath::key));
}

}  // namespace
}  // namespace holdfast
