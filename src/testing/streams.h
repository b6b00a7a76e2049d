// What stream tests share: sample bytes, writing and reading in odd pieces, and other people's programs as judges.
#pragma once

#include <stdio.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>

#include "stream/stream.h"

namespace holdfast::testing {

// `size` bytes, half words and zeros as in etcd's pages, half noise; the same for the same seed.
inline std::string SampleText(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) {
    text += "/registry/pods/team-" + std::to_string(random() % 100);
    for (int i = 0; i < 8; ++i) text.push_back(static_cast<char>(random()));
    text.append(random() % 32, '\0');
  }
  text.resize(size);
  return text;
}

// A stream of one byte repeated.
class RepeatSource final : public Source {
 public:
  RepeatSource(std::uint64_t size, std::uint8_t byte) : left_(size), byte_(byte) {}
  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    const std::size_t n = std::min<std::uint64_t>(out.size(), left_);
    std::fill_n(out.begin(), n, byte_);
    left_ -= n;
    return n;
  }

 private:
  std::uint64_t left_;
  std::uint8_t byte_;
};

// Writes all of `text` in pieces of random size, small and large ones, without Finish().
inline Status WriteInPieces(Sink& sink, std::string_view text, unsigned seed = 1) {
  std::mt19937 random(seed);
  while (!text.empty()) {
    const std::size_t size_max = random() % 2 == 0 ? 10 : 300'000;
    const std::string_view piece = text.substr(0, random() % size_max);
    RETURN_IF_ERROR(sink.Write(BytesOf(piece)));
    text.remove_prefix(piece.size());
  }
  return OkStatus();
}

// Reads to the end in pieces of at most `piece_size`.
inline StatusOr<std::string> ReadAll(Source& source, std::size_t piece_size = 64 * kKiB) {
  std::string text;
  std::string piece(piece_size, '\0');
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t n,
                     source.Read({reinterpret_cast<std::uint8_t*>(piece.data()), piece.size()}));
    if (n == 0) return text;
    text.append(piece, 0, n);
  }
}

inline void WriteTestFile(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadTestFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

// Runs `command` by the shell. What it printed, and "exit code N" after that if it failed.
inline std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* const pipe = ::popen(("exec 2>&1; " + command).c_str(), "r");
  CHECK(pipe != nullptr);
  char piece[4096];
  for (std::size_t n; (n = ::fread(piece, 1, sizeof piece, pipe)) > 0;) output.append(piece, n);
  const int status = ::pclose(pipe);
  if (status != 0) output += "exit code " + std::to_string(WEXITSTATUS(status));
  return output;
}

}  // namespace holdfast::testing
