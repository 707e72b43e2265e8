#include "guest/host_tree.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <string_view>
#include <sys/random.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/files.h"

namespace lmsb::guest {
namespace {

using guest_protocol::kCommandUid;

struct Directory {
  const char* path;
  mode_t mode;
  uid_t owner;
};
constexpr std::array<Directory, 18> kDirectories = {{{"dev", 0755, 0},
                                                     {"etc", 0755, 0},
                                                     {"home", 0755, 0},
                                                     {"home/user", 0755, kCommandUid},
                                                     {"mnt", 0755, 0},
                                                     {"opt", 0755, 0},
                                                     {"proc", 0555, 0},
                                                     {"root", 0700, 0},
                                                     {"run", 0755, 0},
                                                     {"run/lm-sandbox", 0755, 0},
                                                     {"srv", 0755, 0},
                                                     {"sys", 0755, 0},
                                                     {"tmp", 01777, 0},
                                                     {"usr", 0755, 0},
                                                     {"var", 0755, 0},
                                                     {"var/tmp", 01777, 0},
                                                     {"workspace", 0755, kCommandUid},
                                                     {"var/lib", 0755, 0}}};

struct Link {
  const char* path;
  const char* target;
};
// The second half are copies that the launcher made of what programs need of the machine's /etc.
constexpr std::array<Link, 20> kLinks = {{{"bin", "usr/bin"},
                                          {"sbin", "usr/sbin"},
                                          {"lib", "usr/lib"},
                                          {"lib32", "usr/lib32"},
                                          {"lib64", "usr/lib64"},
                                          {"libx32", "usr/libx32"},
                                          {"var/run", "/run"},
                                          {"etc/mtab", "/proc/self/mounts"},
                                          {"etc/os-release", "../usr/lib/os-release"},
                                          {"etc/alternatives", "/run/lm-sandbox/etc/alternatives"},
                                          {"etc/ssl", "/run/lm-sandbox/etc/ssl"},
                                          {"etc/ld.so.cache", "/run/lm-sandbox/etc/ld.so.cache"},
                                          {"etc/localtime", "/run/lm-sandbox/etc/localtime"},
                                          {"etc/protocols", "/run/lm-sandbox/etc/protocols"},
                                          {"etc/services", "/run/lm-sandbox/etc/services"},
                                          {"etc/mime.types", "/run/lm-sandbox/etc/mime.types"},
                                          {"etc/magic", "/run/lm-sandbox/etc/magic"},
                                          {"etc/bash.bashrc", "/run/lm-sandbox/etc/bash.bashrc"},
                                          {"etc/profile", "/run/lm-sandbox/etc/profile"},
                                          {"etc/debian_version", "/run/lm-sandbox/etc/debian_version"}}};

struct File {
  const char* path;
  const char* content;
};
constexpr std::array<File, 4> kFiles = {
    {{"etc/passwd",
      "root:x:0:0:root:/root:/bin/bash\n"
      "user:x:1000:1000:user:/home/user:/bin/bash\n"
      "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
     {"etc/group", "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n"},
     {"etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n"},
     {"etc/shells", "/bin/sh\n/bin/bash\n"}}};

// The gate answers there (guest_protocol/gate.h: kInsideAddress), once: who asks again is told the same.
constexpr const char* kResolver = "nameserver 192.0.0.8\noptions timeout:8 attempts:1\n";

int write_machine_id(int root) {
  std::array<unsigned char, 16> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) return EIO;
  std::array<char, 34> text{};
  for (std::size_t i = 0; i < random.size(); ++i) std::snprintf(&text[2 * i], 3, "%02x", random[i]);
  text[32] = '\n';
  return write_new_file(root, "etc/machine-id", {text.data(), 33}, 0444);
}

// Programs read the number of CPUs here when they do not ask the scheduler.
int write_cpu_count(int root, std::uint32_t count) {
  if (const int error = make_directories(root, "sys/devices/system/cpu", 0755); error != 0) return error;
  std::array<char, 32> range{};
  const int size = count > 1 ? std::snprintf(range.data(), range.size(), "0-%u\n", count - 1)
                             : std::snprintf(range.data(), range.size(), "0\n");
  const std::string_view text(range.data(), static_cast<std::size_t>(size));
  if (const int error = write_new_file(root, "sys/devices/system/cpu/online", text, 0444); error != 0) return error;
  return write_new_file(root, "sys/devices/system/cpu/possible", text, 0444);
}

// Login shells of most systems set PATH anew, then read what lies there. What a sandbox's disk has of that name already
// stays as it is, and no sandbox fails to start because there is no room for it.
void write_profile(int root) {
  constexpr const char* kPath = "etc/profile.d/lm-sandbox-sudo.sh";
  constexpr std::string_view kText = "if [ -x /run/lm-sandbox/bin/sudo ]; then PATH=/run/lm-sandbox/bin:$PATH; fi\n";
  if (make_directories(root, "etc/profile.d", 0755) != 0) return;
  const UniqueFd file(open_beneath(root, kPath, O_WRONLY | O_CREAT | O_EXCL, 0644));
  if (!file) return;
  if (::write(file.get(), kText.data(), kText.size()) != static_cast<ssize_t>(kText.size()))
    (void)::unlinkat(root, kPath, 0);
}

}  // namespace

int fill_host_tree(int root, const guest_protocol::Setup&) {
  for (const Directory& d : kDirectories)
    if (const int error = make_directory(root, d.path, d.mode, d.owner); error != 0) return error;
  for (const Link& l : kLinks)
    if (const int error = make_link(root, l.target, l.path); error != 0) return error;
  for (const File& f : kFiles)
    if (const int error = write_new_file(root, f.path, f.content, 0644); error != 0) return error;
  return 0;
}

int write_identity(int root, const guest_protocol::Setup& setup) {
  std::array<char, 256> text{};
  const char* name = setup.hostname.data();
  int size = std::snprintf(text.data(), text.size(), "%s\n", name);
  if (const int error = write_new_file(root, "etc/hostname", {text.data(), static_cast<std::size_t>(size)}, 0644);
      error != 0)
    return error;
  size = std::snprintf(text.data(), text.size(), "127.0.0.1 localhost %s\n::1 localhost\n", name);
  if (const int error = write_new_file(root, "etc/hosts", {text.data(), static_cast<std::size_t>(size)}, 0644);
      error != 0)
    return error;
  const char* const resolver = setup.has_way_out != 0 ? kResolver : "# no network in this sandbox\n";
  if (const int error = write_new_file(root, "etc/resolv.conf", resolver, 0644); error != 0) return error;
  if (setup.profile == guest_protocol::Profile::root) write_profile(root);
  if (setup.disk != guest_protocol::Disk::existing)  // else it has one already
    if (const int error = write_machine_id(root); error != 0) return error;
  return write_cpu_count(root, setup.cpu_count);
}

}  // namespace lmsb::guest
