#pragma once
// TreeWalk: visits what is below a directory, by descriptors, never following a symbolic link: parents before their
// children, siblings by the octets of their names. What vanishes meanwhile is passed over. No exceptions, no iostreams:
// the guest is linked with it. One thread; blocks.
#include <array>
#include <string_view>
#include <sys/stat.h>

namespace lmsb::os {

// A path that grows and shrinks by components, 4095 octets at most.
class PathBuffer {
 public:
  static constexpr std::size_t kMax = 4095;

  explicit PathBuffer(std::string_view start = {}) { (void)append(start); }
  // False, and unchanged, when it would be too long. A slash goes between.
  bool push(std::string_view name);
  void cut(std::size_t size) { octets_[size_ = size] = '\0'; }
  std::size_t size() const { return size_; }
  const char* c_str() const { return octets_.data(); }
  std::string_view text() const { return {octets_.data(), size_}; }

 private:
  bool append(std::string_view text);

  std::array<char, kMax + 1> octets_{};
  std::size_t size_ = 0;
};

class TreeWalk {
 public:
  struct Found {
    int dir;                // that it is in
    const char* name;       // in that directory
    std::string_view path;  // the walk's prefix and what is below
    std::size_t depth;      // 1 for what is in the top directory
    const struct stat& status;
  };
  enum class Next { go_on, pass_over /* what is below it */, stop };

  // `prefix` begins every path that is told; `max_depth` 1 is the top directory alone.
  explicit TreeWalk(std::string_view prefix, std::size_t max_depth = PathBuffer::kMax)
      : path_(prefix), max_depth_(max_depth) {}
  virtual ~TreeWalk() = default;
  TreeWalk(const TreeWalk&) = delete;
  TreeWalk& operator=(const TreeWalk&) = delete;

  // `dir` stays the caller's. `after`: relative to it; what comes up to and with this path is passed over. Returns 0,
  // or the errno of why the top directory cannot be read.
  int walk(int dir, std::string_view after = {});

 protected:
  virtual Next visit(const Found& found) = 0;
  // A directory that cannot be read, or a path that is too long.
  virtual Next problem(std::string_view path, int error) = 0;

 private:
  Next below(int dir, std::size_t depth, std::string_view after, int& error);
  Next one(int dir, const char* name, std::size_t depth, std::string_view after, bool is_new);

  PathBuffer path_;
  std::size_t max_depth_;
};

// Opens a directory without following a link in the last place, or waiting. Returns the descriptor, or -errno.
int open_directory(int dir, const char* name);

}  // namespace lmsb::os
