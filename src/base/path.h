// Paths as text: joining and taking apart, without looking at any disk.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// One slash between parts; an absolute second part replaces the first; empty parts vanish.
std::string JoinPath(std::string_view a, std::string_view b);
template <typename... More>
std::string JoinPath(std::string_view a, std::string_view b, More&&... more) {
  return JoinPath(JoinPath(a, b), std::string_view(more)...);
}

// The last part ("/a/b" -> "b", "b" -> "b") and what stands before it ("/a/b" -> "/a", "b" -> ".", "/b" -> "/").
std::string BaseName(std::string_view path);
std::string DirName(std::string_view path);

// `path` made absolute against `directory`, with "." and ".." and double slashes resolved as text.
std::string AbsolutePath(std::string_view path, std::string_view directory);

// True for a name that stays inside its directory: not empty, no slash, no NUL, not "." or "..".
bool IsPlainFileName(std::string_view name);

}  // namespace holdfast
