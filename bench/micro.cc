// The hot loops of save, restore and status, one by one, in bytes a second: to see what bounds a command, and whether a
// change helped. Wall time, because the pump works on threads of its own.
//
// usage: bench_micro [--benchmark_filter=...] [SNAPSHOT]
// SNAPSHOT is a plain snapshot of some 100 MB (bench/compare leaves some in out/bench/); it is read into memory. Without
// one, what needs a database is left out.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "base/checksum.h"
#include "formats/bbolt/walk.h"
#include "formats/mvcc/inspect.h"
#include "formats/mvcc/stream_observer.h"
#include "os/file_system.h"
#include "schedule/cron.h"
#include "store/file_sink.h"
#include "stream/access_source.h"
#include "stream/memory.h"
#include "stream/pump.h"
#include "stream/trailing_digest.h"
#include "stream/zip_sink.h"
#include "stream/zstd_sink.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kSnapshotBytesMax = 2 * kGiB;
// What the pump hands over at a time; the sinks are measured with pieces of this.
constexpr std::size_t kPieceBytes = kPumpBlockSize;

class NullSink final : public Sink {
 public:
  Status Write(ByteSpan data) override {
    bytes += data.size();
    return OkStatus();
  }
  Status Finish() override { return OkStatus(); }
  std::uint64_t bytes = 0;
};

class NullVisitor final : public bbolt::Visitor {
 public:
  Status OnBucket(ByteSpan) override { return OkStatus(); }
  Status OnEntry(ByteSpan, ByteSpan value) override {
    bytes += value.size();
    return OkStatus();
  }
  std::uint64_t bytes = 0;
};

void CountBytes(benchmark::State& state, std::uint64_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(each) *
                          static_cast<std::int64_t>(state.iterations()));
}

// --- without a database ---

void BM_Crc32c(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(Crc32c(BytesOf(text)));
  CountBytes(state, text.size());
}
BENCHMARK(BM_Crc32c)->Arg(17)->Arg(400)->Arg(4000)->Arg(1 << 20);

void BM_Sha256(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(Sha256Of(BytesOf(text)));
  CountBytes(state, text.size());
}
BENCHMARK(BM_Sha256)->Arg(32 << 10)->Arg(1 << 20);

void BM_CronNext(benchmark::State& state) {
  const auto schedule = CronSchedule::Parse("17 3 29 2 *", absl::UTCTimeZone()).value();
  const absl::Time now = absl::FromUnixSeconds(1735689600);
  for (auto _ : state) benchmark::DoNotOptimize(schedule.Next(now));
}
BENCHMARK(BM_CronNext);

// --- on a database ---

void BM_Walk(benchmark::State& state, const RandomAccess& file) {
  const bbolt::Database database = bbolt::Database::Open(file).value();
  for (auto _ : state) {
    NullVisitor visitor;
    CHECK(bbolt::Walk(database, visitor).ok());
    benchmark::DoNotOptimize(visitor.bytes);
  }
  CountBytes(state, database.bytes());
}

void BM_Inspect(benchmark::State& state, const RandomAccess& file, bool live_keys,
                bool status_hash) {
  const bbolt::Database database = bbolt::Database::Open(file).value();
  const mvcc::InspectOptions options{
      .count_live_keys = live_keys, .status_hash = status_hash, .stop = {}};
  for (auto _ : state) CHECK(mvcc::Inspect(database, options).ok());
  CountBytes(state, database.bytes());
}

void BM_StreamObserver(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    mvcc::StreamObserver observer;
    for (std::size_t at = 0; at < text.size(); at += kPieceBytes)
      observer.Update(BytesOf(text).subspan(at, std::min(kPieceBytes, text.size() - at)));
    CHECK(observer.Finish());
  }
  CountBytes(state, text.size());
}

template <typename MakeSink>
void RunSink(benchmark::State& state, const std::string& text, MakeSink make) {
  std::uint64_t written = 0;
  for (auto _ : state) {
    NullSink out;
    const auto sink = make(out);
    for (std::size_t at = 0; at < text.size(); at += kPieceBytes) {
      CHECK(sink->Write(BytesOf(text).subspan(at, std::min(kPieceBytes, text.size() - at))).ok());
    }
    CHECK(sink->Finish().ok());
    written = out.bytes;
  }
  CountBytes(state, text.size());
  if (written > 0)
    state.counters["ratio"] = static_cast<double>(text.size()) / static_cast<double>(written);
}

void BM_TrailingDigest(benchmark::State& state, const std::string& text) {
  RunSink(state, text, [](Sink&) { return std::make_unique<TrailingDigest>(); });
}

void BM_ZipSink(benchmark::State& state, const std::string& text) {
  RunSink(state, text, [](Sink& out) {
    return std::make_unique<ZipSink>(out, ZipSinkOptions{.entry_name = "a"});
  });
}

void BM_ZstdSink(benchmark::State& state, const std::string& text) {
  const int level = static_cast<int>(state.range(0));
  RunSink(state, text, [&](Sink& out) {
    return std::make_unique<ZstdSink>(out,
                                      ZstdSinkOptions{.level = level, .content_size = text.size()});
  });
}

void BM_Pump(benchmark::State& state, const RandomAccess& file) {
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    AccessSource source(file);
    NullSink a, b;
    Sink* const sinks[] = {&a, &b};
    bytes = Pump(source, sinks).value();
  }
  CountBytes(state, bytes);
}

// A file beside the snapshot, so that it is the same disk.
void BM_FileSink(benchmark::State& state, const RandomAccess& file, const std::string& path,
                 FileSink::Kind kind) {
  FileSystem& fs = PosixFileSystem();
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    const auto target = fs.Create(path, 0600).value();
    AccessSource source(file);
    FileSink sink(*target, kind);
    Sink* const sinks[] = {&sink};
    bytes = Pump(source, sinks).value();
    state.PauseTiming();
    CHECK(fs.RemoveFile(path).ok());
    state.ResumeTiming();
  }
  CountBytes(state, bytes);
}

template <typename... Args>
void Register(const char* name, Args&&... args) {
  benchmark::RegisterBenchmark(name, std::forward<Args>(args)...)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void RegisterForDatabase(const std::string& text, const RandomAccess& file,
                         const std::string& scratch) {
  Register("BM_Walk", [&](benchmark::State& s) { BM_Walk(s, file); });
  Register("BM_Inspect/restore", [&](benchmark::State& s) { BM_Inspect(s, file, false, false); });
  Register("BM_Inspect/live_keys", [&](benchmark::State& s) { BM_Inspect(s, file, true, false); });
  Register("BM_Inspect/hash", [&](benchmark::State& s) { BM_Inspect(s, file, false, true); });
  Register("BM_Inspect/status", [&](benchmark::State& s) { BM_Inspect(s, file, true, true); });
  Register("BM_StreamObserver", [&](benchmark::State& s) { BM_StreamObserver(s, text); });
  Register("BM_TrailingDigest", [&](benchmark::State& s) { BM_TrailingDigest(s, text); });
  Register("BM_Pump", [&](benchmark::State& s) { BM_Pump(s, file); });
  Register("BM_FileSink/durable", [&, scratch](benchmark::State& s) {
    BM_FileSink(s, file, scratch, FileSink::Kind::kDurable);
  });
  Register("BM_FileSink/archive", [&, scratch](benchmark::State& s) {
    BM_FileSink(s, file, scratch, FileSink::Kind::kArchive);
  });
  Register("BM_ZipSink", [&](benchmark::State& s) { BM_ZipSink(s, text); });
  benchmark::RegisterBenchmark("BM_ZstdSink", [&](benchmark::State& s) { BM_ZstdSink(s, text); })
      ->DenseRange(1, 4)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::string text;
  if (argc > 1) {
    auto read = ReadFile(PosixFileSystem(), argv[1], kSnapshotBytesMax);
    if (!read.ok()) {
      std::fprintf(stderr, "%s\n", MessageOf(read.status()).c_str());
      return 1;
    }
    text = *std::move(read);
  }
  const StringAccess file(text);
  if (!text.empty()) RegisterForDatabase(text, file, std::string(argv[1]) + ".scratch");
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) { return holdfast::Main(argc, argv); }
