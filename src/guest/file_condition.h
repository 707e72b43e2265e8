#pragma once
// Condition: what must be true of a file for it to be changed (If-Match, If-None-Match). One thread.
#include "guest/file_places.h"

namespace lmsb::guest {

class Condition {
 public:
  // '=' or '!' (is one of these; is none), then '*' (whatever is there) or TAG,TAG, with a comma behind each. A tag is
  // INODE-SIZE-SECONDS.NANOSECONDS of the last change, hexadecimal. Null: none. Outlives it.
  explicit Condition(const char* text) : text_(text) {}

  bool is_something() const { return text_ != nullptr; }
  bool wants_a_file() const { return text_ != nullptr && *text_ == '='; }
  // Returns 0 or kConditionFailed.
  int check(const Place& place) const;
  // Of what is there now. From here on until the process ends no other operation with a condition gets this far in the
  // directory. One that cannot be read has nothing to hold; there only the look is new. Blocks for 5 s at most, then
  // ETIMEDOUT: somebody keeps the lock. Returns 0, kConditionFailed, or an errno. Takes SIGALRM for itself.
  int hold(Place& place) const;

 private:
  bool is_one_of_them(const Place& place) const;

  const char* text_;
};

}  // namespace lmsb::guest
