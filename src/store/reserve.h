#pragma once
// Reserve: room on the file system of a database, taken while there is some, so that what is removed can be written
// down when there is none. A file beside the database, all of whose blocks are there. As thread-bound as its Database;
// blocks on the file system.
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace lmsb::store {

class Reserve {
 public:
  explicit Reserve(std::string path) : path_(std::move(path)) {}

  // Takes the room, if it is not taken yet. Error: store_full, there is not that much.
  Status hold();
  // Gives it up: whoever writes next may have it.
  void release();

  static constexpr std::int64_t kBytes = 512 * 1024;

 private:
  std::string path_;
  bool is_held_ = false;
};

}  // namespace lmsb::store
