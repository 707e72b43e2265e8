#pragma once
// Unfinished: a download that is not whole yet, in a hidden directory of the store: the file, and beside it the entity
// tag that it came with. Locked while it is being brought; stays for whoever goes on.
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::model {

class Unfinished {
 public:
  // That of `of` (a URL, or a digest), made where there is none. Error model_being_pulled: somebody has it.
  static Result<Unfinished> open(const std::string& store, const std::string& of);

  int file() const { return file_.get(); }
  std::string path() const;  // of the file
  const std::string& directory() const { return directory_; }
  std::string tag() const;
  void set_tag(const std::string& tag) const;
  // Away with it.
  void discard();
  // It is whole: nothing but the file stays in the directory.
  void strip() const;

  static bool is_one(const std::string& name);  // of an entry of the store

 private:
  Unfinished(std::string directory, UniqueFd lock, UniqueFd file)
      : directory_(std::move(directory)), lock_(std::move(lock)), file_(std::move(file)) {}
  std::string directory_;
  UniqueFd lock_;
  UniqueFd file_;
};

}  // namespace lmsb::model
