// server/cred/passwd: who may call the supervisor, with which password, in which role.
//
// CSV rows "password,name,name,role", read and written as Go's encoding/csv does it: fields with commas, quotes or line
// breaks stand in double quotes, a quote is doubled; empty lines do not count. A row needs the first two columns, the
// third is ignored. Of several rows with one name the last counts. Source: K3s pkg/passwd/passwd.go.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

class PasswdFile {
 public:
  // kDataLoss, with the line number, if the quoting is broken or a row has less than two columns.
  static StatusOr<PasswdFile> Parse(std::string_view csv);

  // The whole file, rows sorted by name.
  Secret Format() const;

  // Adds the user or replaces password and role.
  void Set(const std::string& user, Secret password, std::string role);

  // The user's password; empty if there is no such user.
  Secret PasswordOf(const std::string& user) const;

  // The role if `user` exists and `password` is right; an empty password never is. Takes the same time wherever a wrong
  // one differs.
  std::optional<std::string> RoleOf(const std::string& user, const Secret& password) const;

 private:
  struct Entry {
    Secret password;
    std::string role;
  };
  std::map<std::string, Entry> users_;
};

}  // namespace holdfast
