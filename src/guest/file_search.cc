// grep, replace: texts in files.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/file_answer.h"
#include "guest/file_owner.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/glob.h"
#include "guest/line_search.h"
#include "os/atomic_file.h"
#include "os/tree_walk.h"

namespace lmsb::guest {
namespace {

using os::TreeWalk;

std::array<char, Replacer::kMaxText> block;
std::array<char, LineSplitter::kMaxLine> line_room;
std::array<char, 2 * Replacer::kMaxText> replace_room;

// A regular file, open for reading; else -errno.
int open_text(int dir, const char* name) {
  UniqueFd file(::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return -errno;
  return S_ISREG(status.st_mode) ? file.release() : -ENOTSUP;
}

ssize_t read_block(int file) {
  for (;;) {
    const ssize_t n = ::read(file, block.data(), block.size());
    if (n >= 0 || errno != EINTR) return n;
  }
}

// As git and grep see it: a NUL in the first octets is no text.
bool is_binary(std::string_view beginning) { return beginning.find('\0') != std::string_view::npos; }

// Visits the regular files of a tree whose names fit a pattern, or the one file that the root is.
class FileVisitor : public TreeWalk {
 public:
  FileVisitor(std::string_view root, std::string_view names) : TreeWalk(root), names_(names) {}

  void run(const char* root) {
    const Place place = find_target(root);
    if (!place.exists) answer::failed(root, ENOENT);
    if (S_ISREG(place.status.st_mode)) {
      (void)file(place.dir, place.name.data(), root, place.status);
      return;
    }
    if (!S_ISDIR(place.status.st_mode)) answer::failed(root, ENOTSUP);
    const int dir = os::open_directory(place.dir, place.name.data());
    if (dir < 0) answer::failed(root, -dir);
    if (const int error = walk(dir); error != 0) answer::failed(root, error);
  }

 protected:
  virtual Next file(int dir, const char* name, std::string_view path, const struct stat& status) = 0;
  Next problem(std::string_view path, int error) override {
    if (error != ENOENT && error != ENOTSUP) answer::skipped(path, error);
    return Next::go_on;
  }

 private:
  Next visit(const Found& found) override {
    if (!S_ISREG(found.status.st_mode)) return Next::go_on;
    if (!names_.empty() && !name_matches(names_, found.name)) return Next::go_on;
    return file(found.dir, found.name, found.path, found.status);
  }

  std::string_view names_;
};

class Grep final : public FileVisitor, private LineSplitter::Reader {
 public:
  Grep(std::string_view root, const LineMatcher& matcher, std::string_view names, std::uint64_t limit)
      : FileVisitor(root, names), matcher_(matcher), limit_(limit) {}

  [[noreturn]] void end() const {
    answer::done_up_to(has_more_ ? answer::Extent::truncated : answer::Extent::all, files_);
  }

 private:
  Next file(int dir, const char* name, std::string_view path, const struct stat&) override {
    const int opened = open_text(dir, name);
    if (opened < 0) return problem(path, -opened);
    const UniqueFd owned(opened);
    ++files_;
    path_ = path;
    LineSplitter lines(line_room.data(), *this);
    for (bool is_first = true;; is_first = false) {
      const ssize_t n = read_block(opened);
      if (n < 0) return problem(path, errno);
      const std::string_view piece(block.data(), static_cast<std::size_t>(n));
      if (is_first && is_binary(piece)) return Next::go_on;
      if (!(n == 0 ? lines.end() : lines.take(piece))) return Next::stop;
      if (n == 0) return Next::go_on;
    }
  }

  bool line(std::uint64_t number, std::string_view text) override {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!matcher_.is_in(text)) return true;
    if (found_ == limit_ || answer::is_full()) {
      has_more_ = true;
      return false;
    }
    ++found_;
    answer::match(path_, number, text);
    return true;
  }

  const LineMatcher& matcher_;
  std::uint64_t limit_;
  std::uint64_t found_ = 0;
  std::uint64_t files_ = 0;
  bool has_more_ = false;
  std::string_view path_;
};

class ReplaceAll final : public FileVisitor, private Replacer::Sink {
 public:
  ReplaceAll(std::string_view root, std::string_view old_text, std::string_view new_text, std::string_view names,
             std::uint64_t limit)
      : FileVisitor(root, names), old_(old_text), new_(new_text), limit_(limit) {}

  [[noreturn]] void end() const {
    answer::done_up_to(has_more_ ? answer::Extent::truncated : answer::Extent::all, replacements_);
  }

 private:
  // Most files do not have the text: only then is a new one made.
  Next file(int dir, const char* name, std::string_view path, const struct stat& status) override {
    const int opened = open_text(dir, name);
    if (opened < 0) return problem(path, -opened);
    const UniqueFd owned(opened);
    output_ = -1;
    std::uint64_t count = 0;
    if (const int error = pass(opened, count); error != 0 || count == 0)
      return error == 0 ? Next::go_on : problem(path, error);
    if (files_ == limit_ || answer::is_full()) {
      has_more_ = true;
      return Next::stop;
    }
    if (const int error = rewrite(dir, name, opened, status.st_mode & 0777U, count); error != 0)
      answer::failed(path, error);
    if (count == 0) return Next::go_on;
    ++files_;
    replacements_ += count;
    answer::changed(path, count);
    return Next::go_on;
  }

  int rewrite(int dir, const char* name, int file, mode_t mode, std::uint64_t& count) {
    if (::lseek(file, 0, SEEK_SET) < 0) return errno;
    os::AtomicFile fresh(dir);
    if (const int error = fresh.open(mode); error != 0) return error;
    struct stat status {};
    if (::fstat(file, &status) == 0) keep_owner(fresh.fd(), status);
    output_ = fresh.fd();
    if (const int error = pass(file, count); error != 0) return error;
    return count == 0 ? 0 : fresh.commit(name, os::AtomicFile::Existing::replaced);
  }

  // Reads the file through a Replacer. Returns 0 or an errno; binary files have no replacements.
  int pass(int file, std::uint64_t& count) {
    Replacer replacer(old_, new_, replace_room.data(), *this);
    error_ = 0;
    count = 0;
    for (bool is_first = true;; is_first = false) {
      const ssize_t n = read_block(file);
      if (n < 0) return errno;
      const std::string_view piece(block.data(), static_cast<std::size_t>(n));
      if (is_first && is_binary(piece)) return 0;
      if (!(n == 0 ? replacer.end() : replacer.take(piece))) return error_;
      if (n == 0) break;
    }
    count = replacer.replacements();
    return 0;
  }

  bool write(std::string_view octets) override {
    error_ = output_ < 0 ? 0 : os::write_exactly(output_, octets.data(), octets.size());
    return error_ == 0;
  }

  std::string_view old_;
  std::string_view new_;
  std::uint64_t limit_;
  std::uint64_t files_ = 0;
  std::uint64_t replacements_ = 0;
  bool has_more_ = false;
  int output_ = -1;  // -1: only counting
  int error_ = 0;
};

}  // namespace

void file_grep(char* const* args) {
  static Regex regex;
  LineMatcher matcher;
  const bool is_regex = std::strcmp(args[2], "regex") == 0;
  const LetterCase letter_case = std::strcmp(args[3], "any") == 0 ? LetterCase::any : LetterCase::exact;
  if (!matcher.prepare(args[1], is_regex ? LineMatcher::Syntax::regex : LineMatcher::Syntax::fixed, letter_case, regex))
    answer::failed(args[1], EINVAL);
  Grep grep(args[0], matcher, args[4], std::strtoull(args[5], nullptr, 10));
  grep.run(args[0]);
  grep.end();
}

void file_replace(char* const* args) {
  const std::string_view old_text = args[1];
  if (old_text.empty() || old_text.size() > Replacer::kMaxText) answer::failed(args[0], EINVAL);
  ReplaceAll all(args[0], old_text, args[2], args[3], std::strtoull(args[4], nullptr, 10));
  all.run(args[0]);
  all.end();
}

}  // namespace lmsb::guest
