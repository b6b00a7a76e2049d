// What every ObjectStore promises, asked of each of them.
#include <gmock/gmock.h>

#include "store/local_store.h"
#include "store/s3/s3_store.h"
#include "testing/fake_clock.h"
#include "testing/fake_s3.h"
#include "testing/memory_fs.h"
#include "testing/streams.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One of the stores, empty, and what it stands on.
struct Place {
  virtual ~Place() = default;
  virtual ObjectStore& store() = 0;
};

struct LocalPlace final : Place {
  LocalPlace() { EXPECT_TRUE(fs.MakeDirectory("/snapshots", 0700).ok()); }
  ObjectStore& store() override { return local; }
  testing::MemoryFs fs;
  LocalStore local{fs, "/snapshots"};
};

struct S3Place final : Place {
  explicit S3Place(const std::string& folder) {
    s3.page_size = 3;
    opened = OpenS3Store({.endpoint = s3.host,
                          .insecure = true,
                          .access_key = "AK",
                          .secret_key = Secret("SK"),
                          .bucket = s3.bucket,
                          .folder = folder},
                         {.fs = fs,
                          .clock = clock,
                          .random = SystemRandom(),
                          .environment = {},
                          .make_http = [this] { return s3.MakeClient(); }})
                 .value();
  }
  ObjectStore& store() override { return *opened; }
  testing::MemoryFs fs;
  testing::SteppingClock clock;
  testing::FakeS3 s3{clock};
  std::unique_ptr<ObjectStore> opened;
};

class StoreConformance : public ::testing::TestWithParam<const char*> {
 protected:
  StoreConformance() {
    const std::string kind = GetParam();
    if (kind == "local") {
      place_ = std::make_unique<LocalPlace>();
    } else {
      place_ = std::make_unique<S3Place>(kind == "s3" ? "" : "my folder/sub+x");
    }
  }
  ObjectStore& store() { return place_->store(); }

  Status TryToSave(const std::string& name, std::string_view text) {
    ASSIGN_OR_RETURN(const auto object, store().Create(name, {}));
    RETURN_IF_ERROR(testing::WriteInPieces(*object, text));
    RETURN_IF_ERROR(object->Finish());
    EXPECT_EQ(object->bytes(), text.size());
    return object->Commit();
  }
  void Save(const std::string& name, std::string_view text) {
    const Status status = TryToSave(name, text);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string Read(const std::string& name) {
    const auto object = store().Open(name);
    if (!object.ok()) return std::string(CodeWord(object.status().code()));
    std::string text((*object)->Size().value(), '\0');
    const auto read =
        (*object)->ReadAt(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    EXPECT_EQ(read.value_or(0), text.size()) << read.status();
    return text;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto listed = store().List();
    EXPECT_TRUE(listed.ok()) << listed.status();
    if (listed.ok())
      for (const ObjectInfo& info : *listed) names.push_back(info.name);
    return names;
  }

  std::unique_ptr<Place> place_;
};

INSTANTIATE_TEST_SUITE_P(, StoreConformance, ::testing::Values("local", "s3", "s3_folder"),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(StoreConformance, AnObjectComesBackAsItWasWritten) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{100'000}, 16 * kMiB, 16 * kMiB + 1, 34 * kMiB}) {
    const std::string text = testing::SampleText(size, static_cast<unsigned>(size));
    Save("n" + std::to_string(size), text);
    EXPECT_TRUE(Read("n" + std::to_string(size)) == text) << size;
  }
}

TEST_P(StoreConformance, AnyRangeCanBeReadInAnyOrder) {
  const std::string text = testing::SampleText(30'000'000);
  Save("a", text);
  const auto object = store().Open("a").value();
  for (const std::size_t offset : {29'999'990u, 0u, 8'388'600u, 25'000'000u, 16'777'216u, 5u}) {
    std::vector<std::uint8_t> out(70'000);
    const auto read = object->ReadAt(offset, out);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, std::min(out.size(), text.size() - offset));
    EXPECT_EQ(TextOf(ByteSpan(out).first(*read)),
              std::string_view(text).substr(offset, out.size()));
  }
  std::uint8_t byte;
  EXPECT_EQ(object->ReadAt(text.size(), {&byte, 1}).value(), 0u);
  EXPECT_EQ(object->ReadAt(text.size() + 100, {&byte, 1}).value(), 0u);
}

TEST_P(StoreConformance, ListsAllByNameWithSizeTimeAndMetadata) {
  EXPECT_THAT(Names(), IsEmpty());
  for (const char* name : {"c", "a", "b+c=d", "e ü&%", "d", "zz", "f"}) Save(name, name);
  ASSERT_TRUE(store().WriteMetadata("a", "{\"x\":\"y\"}").ok());
  EXPECT_THAT(Names(), ElementsAre("a", "b+c=d", "c", "d", "e ü&%", "f", "zz"));
  const auto listed = store().List().value();
  EXPECT_EQ(listed[1].bytes, 5u);
  EXPECT_EQ(listed[0].metadata.value_or(""), "{\"x\":\"y\"}");
  EXPECT_TRUE(absl::IsNotFound(listed[1].metadata.status()));
}

TEST_P(StoreConformance, NothingIsThereBeforeCommitAndNothingStaysWithout) {
  for (const std::size_t size : {std::size_t{10}, 40 * kMiB}) {
    auto object = store().Create("a", {}).value();
    ASSERT_TRUE(testing::WriteInPieces(*object, testing::SampleText(size)).ok());
    EXPECT_THAT(Names(), IsEmpty());
    EXPECT_EQ(Read("a"), "not_found");
    ASSERT_TRUE(object->Finish().ok());
    EXPECT_THAT(Names(), IsEmpty());
    object.reset();
    EXPECT_THAT(Names(), IsEmpty());
    EXPECT_THAT(store().RemoveUnfinished([](auto, auto) { return true; }).value(), IsEmpty());
  }
}

TEST_P(StoreConformance, ATakenNameIsNotReplaced) {
  auto late = store().Create("a", {}).value();
  ASSERT_TRUE(late->Write(BytesOf("late")).ok());
  ASSERT_TRUE(late->Finish().ok());
  Save("b", "b");
  Save("a", "first");
  EXPECT_FALSE(late->Commit().ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store().Create("a", {}).status()));
  late.reset();
  EXPECT_EQ(Read("a"), "first");
}

TEST_P(StoreConformance, MetadataGoWithTheObjectAndCanBeReplaced) {
  EXPECT_TRUE(absl::IsNotFound(store().ReadMetadata("a").status()));
  Save("a", "x");
  EXPECT_TRUE(absl::IsNotFound(store().ReadMetadata("a").status()));
  ASSERT_TRUE(store().WriteMetadata("a", "{}").ok());
  ASSERT_TRUE(store().WriteMetadata("a", "{\"more\":\"x\"}").ok());
  EXPECT_EQ(store().ReadMetadata("a").value(), "{\"more\":\"x\"}");
  ASSERT_TRUE(store().Remove("a").ok());
  EXPECT_TRUE(absl::IsNotFound(store().ReadMetadata("a").status()));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_P(StoreConformance, WhatIsNotThereCannotBeRemovedButItsMetadataCan) {
  EXPECT_TRUE(absl::IsNotFound(store().Remove("a")));
  ASSERT_TRUE(store().WriteMetadata("a", "{}").ok());
  EXPECT_TRUE(absl::IsNotFound(store().Remove("a")));
  EXPECT_TRUE(absl::IsNotFound(store().ReadMetadata("a").status()));
}

TEST_P(StoreConformance, NamesThatLeaveTheFolderAreRefused) {
  for (const char* bad : {"../a", "a/b", "", "..", "."}) {
    EXPECT_EQ(store().Create(bad, {}).status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store().Open(bad).status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store().Remove(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store().WriteMetadata(bad, "{}").code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(store().ReadMetadata(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace holdfast
