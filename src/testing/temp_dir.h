// A private directory for one test, removed with all it holds at the end.
#pragma once

#include <stdlib.h>

#include <string>

#include "base/check.h"
#include "base/path.h"
#include "os/file_system.h"

namespace holdfast::testing {

class TempDir {
 public:
  TempDir() {
    std::string pattern = "/tmp/holdfast-test.XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() { (void)RemoveTree(PosixFileSystem(), path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return JoinPath(path_, name); }

 private:
  std::string path_;
};

}  // namespace holdfast::testing
