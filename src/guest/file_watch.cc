// watch: what happens in a directory, as inotify(7) tells it.
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/file_answer.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/watch_table.h"
#include "os/atomic_file.h"
#include "os/tree_walk.h"

namespace lmsb::guest {
namespace {

using guest_protocol::WatchKind;

constexpr std::uint32_t kMask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                                IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;

// Of a file that has no name yet, as the kernel makes it up: O_TMPFILE.
bool is_of_no_file(std::string_view name, const char* path) {
  struct stat status {};
  return name.starts_with('#') && ::lstat(path, &status) < 0 && errno == ENOENT;
}

bool has_content(const char* path) {
  struct stat status {};
  return ::lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_size > 0;
}

WatchTable table;  // large, and untouched where nothing is watched

class Watcher {
 public:
  Watcher(const char* root, bool recursive)
      : root_(root), recursive_(recursive), inotify_(::inotify_init1(IN_CLOEXEC)) {
    if (inotify_ < 0) answer::failed(root, errno);
  }

  [[noreturn]] void run() {
    const int dir = open_directory_or_fail(root_);
    const int top = add(WatchTable::kNone, "", root_);
    if (top == WatchTable::kNone) answer::failed(root_, ENOENT);
    arm_below(top, dir, root_, Tell::nothing);
    (void)::close(dir);
    answer::armed(table.size());
    answer::flush();
    for (;;) take_events();
  }

 private:
  enum class Tell { nothing, created };

  // Watches the directories below one that is watched, and tells of what is in it if that is news.
  class Armer final : public os::TreeWalk {
   public:
    Armer(Watcher& watcher, int top, std::string_view path, Tell tell)
        : TreeWalk(path, watcher.recursive_ ? os::PathBuffer::kMax : 1), watcher_(watcher), tell_(tell) {
      at_depth_[0] = top;
    }

   private:
    Next visit(const Found& found) override {
      const bool is_directory = S_ISDIR(found.status.st_mode);
      if (os::is_hidden_name(found.name)) return Next::pass_over;
      if (tell_ == Tell::created) answer::event(WatchKind::created, is_directory, found.path);
      if (!is_directory || !watcher_.recursive_ || found.depth >= at_depth_.size()) return Next::go_on;
      const int added = watcher_.add(at_depth_[found.depth - 1], found.name, found.path.data());
      at_depth_[found.depth] = added;
      return added == WatchTable::kNone ? Next::pass_over : Next::go_on;
    }
    // It has gone, or is not for us to read: nothing of it is told.
    Next problem(std::string_view, int) override { return Next::go_on; }

    Watcher& watcher_;
    Tell tell_;
    std::array<int, os::PathBuffer::kMax / 2 + 2> at_depth_{};
  };

  // Returns its place in the table; kNone when it is no directory of ours any more, or watched already. `path` ends
  // with a NUL. Ends the process when there are too many.
  int add(int parent, std::string_view name, const char* path) {
    const int watch = ::inotify_add_watch(inotify_, path, kMask);
    if (watch < 0 && (errno == ENOSPC || errno == ENOMEM)) answer::failed(path, ENOSPC);
    if (watch < 0) return WatchTable::kNone;
    if (table.find(watch) != WatchTable::kNone) return WatchTable::kNone;
    const int added = table.add(watch, parent, name);
    if (added == WatchTable::kNone) answer::failed(path, ENOSPC);
    return added;
  }

  void arm_below(int top, int dir, std::string_view path, Tell tell) {
    Armer armer(*this, top, path, tell);
    (void)armer.walk(dir);
  }

  void take_events() {
    alignas(inotify_event) std::array<char, 64 * 1024> buffer;  // NOLINT: written by the kernel
    const ssize_t size = ::read(inotify_, buffer.data(), buffer.size());
    if (size < 0 && errno != EINTR) answer::failed(root_, errno);
    for (ssize_t at = 0; at < size;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* const name = event.len > 0 ? buffer.data() + at + sizeof event : "";
      at += static_cast<ssize_t>(sizeof event + event.len);
      inotify_event next{};
      if (at < size) std::memcpy(&next, buffer.data() + at, sizeof next);
      const bool is_written_next = next.wd == event.wd && (next.mask & IN_MODIFY) != 0;
      take(event, name, is_written_next);
    }
    answer::flush();
  }

  // `is_written_next`: so the next event says of something in the same directory.
  void take(const inotify_event& event, std::string_view name, bool is_written_next) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) return answer::event(WatchKind::lost, false, root_);
    const int directory = table.find(event.wd);
    if (directory == WatchTable::kNone) return;
    const bool is_root = table.parent(directory) == WatchTable::kNone;
    if ((event.mask & IN_IGNORED) != 0) table.remove(directory);
    if (is_root && (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) answer::done(0);
    if (name.empty() && !is_root) return;  // its parent tells of it by name
    os::PathBuffer path(root_);
    if (!table.append_path(directory, path) || (!name.empty() && !path.push(name))) return;
    if (is_internal(event, name, path.c_str())) return;
    tell(event.mask, directory, name, path);
    // What the file API writes has its content before it has its name: nobody sees it written.
    const bool was_hidden = (event.mask & IN_MOVED_TO) != 0 && event.cookie == hidden_cookie_;
    const bool is_new = (event.mask & IN_CREATE) != 0 && !is_written_next;
    if ((was_hidden || is_new) && has_content(path.c_str())) answer::event(WatchKind::written, false, path.text());
  }

  // How something is made whole before it is shown is nobody's business.
  bool is_internal(const inotify_event& event, std::string_view name, const char* path) {
    if (!os::is_hidden_name(name)) return (event.mask & IN_ATTRIB) != 0 && is_of_no_file(name, path);
    if ((event.mask & IN_MOVED_FROM) != 0) hidden_cookie_ = event.cookie;
    return true;
  }

  void tell(std::uint32_t mask, int directory, std::string_view name, os::PathBuffer& path) {
    const bool is_directory = (mask & IN_ISDIR) != 0;
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
      answer::event(WatchKind::created, is_directory, path.text());
      if (is_directory && recursive_) take_in(directory, name, path);
    }
    if ((mask & IN_MODIFY) != 0) answer::event(WatchKind::written, is_directory, path.text());
    if ((mask & IN_ATTRIB) != 0) answer::event(WatchKind::changed, is_directory, path.text());
    if ((mask & IN_DELETE) != 0) answer::event(WatchKind::removed, is_directory, path.text());
    if ((mask & IN_MOVED_FROM) == 0) return;
    answer::event(WatchKind::renamed, is_directory, path.text());
    if (is_directory) forget(directory, name);
  }

  // A new directory: what came into it before it was watched is told, too.
  void take_in(int parent, std::string_view name, const os::PathBuffer& path) {
    const int added = add(parent, name, path.c_str());
    const int dir = added == WatchTable::kNone ? -1 : os::open_directory(AT_FDCWD, path.c_str());
    if (dir < 0) return;
    arm_below(added, dir, path.text(), Tell::created);
    (void)::close(dir);
  }

  // Wherever it has gone, it has another name now.
  void forget(int parent, std::string_view name) {
    const int gone = table.child(parent, name);
    if (gone == WatchTable::kNone) return;
    for (int i = 0; i < WatchTable::kMax; ++i)
      if (table.is_below(i, gone)) (void)::inotify_rm_watch(inotify_, table.watch(i));
    table.remove_tree(gone);
  }

  const char* root_;
  bool recursive_;
  int inotify_;
  std::uint32_t hidden_cookie_ = 0;  // of the last that got its name; the kernel gives none 0
};

}  // namespace

void file_watch(char* const* args) {
  Watcher watcher(args[0], args[1][0] == '1');
  watcher.run();
}

}  // namespace lmsb::guest
