#include "cdi/find.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "cdi/spec.h"
#include "model/elf.h"
#include "os/name_list.h"
#include "os/small_file.h"

namespace lmsb::cdi {
namespace {

using sandbox::TableDevice;

constexpr Bytes kMaxFile = Bytes::MiB(1);
constexpr std::size_t kMaxFiles = 64;  // of a directory

// Where a program's loader looks without being told, in images of the usual distributions.
constexpr std::array<std::string_view, 4> kUsualLibraryPlaces = {"/lib", "/usr/lib", "/lib/x86_64-linux-gnu",
                                                                 "/usr/lib/x86_64-linux-gnu"};
constexpr std::array<std::string_view, 4> kOurPlaces = {"/dev", "/proc", "/sys", "/run/lm-sandbox"};
constexpr std::array<std::string_view, 13> kOurNodes = {"null", "zero", "full",  "random", "urandom", "tty", "fd",
                                                        "pts",  "shm",  "stdin", "stdout", "stderr",  "ptmx"};

bool is_at_or_below(std::string_view path, std::string_view place) {
  return path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/');
}

std::string below_root(const std::string& path) { return path.substr(1); }

// Whether nobody but root, or who reads, could have written it.
Status check_owner(const struct stat& info) {
  if (info.st_uid != 0 && info.st_uid != ::geteuid())
    return Error(ErrorCode::permission_denied, "belongs to another user than root");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error(ErrorCode::permission_denied, "can be written by others than its owner");
  return {};
}

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!directory || ::fstat(directory.get(), &info) < 0) return Error::from_errno(errno, "open");
  LMSB_CHECK(check_owner(info));
  return directory;
}

Result<Spec> read_file(int directory, const char* name) {
  const UniqueFd file(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open");
  if (!S_ISREG(info.st_mode)) return Error(ErrorCode::invalid_argument, "is no file");
  LMSB_CHECK(check_owner(info));
  LMSB_TRY(const std::string text, os::read_to_end(file.get(), kMaxFile, name));
  return read_spec(text);
}

// Turns what a file says into entries of the table.
class Resolver {
 public:
  explicit Resolver(sandbox::DeviceTable& table) : table_(table) {}

  TableDevice device(const Spec& spec, const Device& device) {
    TableDevice made;
    made.name = spec.kind + "=" + device.name;
    for (const Edits* edits : {&spec.edits, &device.edits})
      if (const Status taken = take(*edits, made); !taken.ok() && made.fault.empty())
        made.fault = to_utf8(taken.error().message());
    if (table_.nodes.size() > sandbox::kMaxTableItems || table_.files.size() > sandbox::kMaxTableItems ||
        table_.links.size() > sandbox::kMaxTableItems)
      made.fault = "all devices together need more than 2048 things of a kind";
    if (made.fault.empty()) return made;
    return {made.name, made.fault, {}, {}, {}, {}};
  }

 private:
  Status take(const Edits& edits, TableDevice& to) {
    if (!edits.fault.empty()) return Error(ErrorCode::unsupported, edits.fault);
    for (const std::string& variable : edits.environment) to.environment.push_back(variable);
    for (const DeviceNode& node : edits.nodes) LMSB_CHECK(take_node(node, to));
    for (const Mount& mount : edits.mounts) LMSB_CHECK(take_mount(mount, to));
    for (const Link& link : edits.links) LMSB_CHECK(take_link(link, to));
    if (!edits.library_directories.empty()) take_libraries(edits, to);
    return {};
  }

  static void need(std::vector<std::uint32_t>& places, std::uint32_t place) {
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
  }

  Status take_node(const DeviceNode& node, TableDevice& to) {
    const std::string name = node.path.substr(std::string_view("/dev/").size());
    const std::string top = name.substr(0, name.find('/'));
    if (std::find(kOurNodes.begin(), kOurNodes.end(), top) != kOurNodes.end())
      return Error(ErrorCode::invalid_argument, "device node " + quoted(node.path) + " is one that all sandboxes have");
    struct stat info {};
    if (::stat(node.host_path.c_str(), &info) < 0) return Error::from_errno(errno, "device node " + node.host_path);
    if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode))
      return Error(ErrorCode::invalid_argument, node.host_path + " is no device");
    const sandbox::TableNode made{name, node.host_path, S_ISBLK(info.st_mode), ::gnu_dev_major(info.st_rdev),
                                  ::gnu_dev_minor(info.st_rdev)};
    if (made.is_block) return Error(ErrorCode::unsupported, node.host_path + " is a disk: no sandbox gets one");
    if (node.number && (node.number->major != made.major || node.number->minor != made.minor))
      return Error(ErrorCode::failed_precondition, node.host_path + " has another number than the file says");
    need(to.nodes, table_.place_of(made));
    return {};
  }

  // What is neither file nor directory leads to a program of the machine's (a daemon's socket), and is left out.
  Status take_mount(const Mount& mount, TableDevice& to) {
    for (const std::string_view place : kOurPlaces)
      if (is_at_or_below(mount.path, place) || is_at_or_below(place, mount.path))
        return Error(ErrorCode::invalid_argument, "mount " + quoted(mount.path) + " would be in the sandbox's own way");
    struct stat info {};
    if (::stat(mount.host_path.c_str(), &info) < 0) return Error::from_errno(errno, "file " + mount.host_path);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return {};
    if (is_at_or_below(mount.host_path, "/proc") || is_at_or_below(mount.host_path, "/sys"))
      return Error(ErrorCode::invalid_argument, mount.host_path + " is no file to show");
    need(to.files, table_.place_of(sandbox::TableFile{below_root(mount.path), mount.host_path}));
    return {};
  }

  // Links below /dev are for people.
  Status take_link(const Link& link, TableDevice& to) {
    if (is_at_or_below(link.path, "/dev")) return {};
    for (const std::string_view place : kOurPlaces)
      if (is_at_or_below(link.path, place))
        return Error(ErrorCode::invalid_argument, "link " + quoted(link.path) + " would be in the sandbox's own way");
    need(to.links, table_.place_of(sandbox::TableLink{below_root(link.path), link.target}));
    return {};
  }

  // What ldconfig(8) would do: a library is found by the name that it says it has, and in places that are not usual
  // ones because programs are told.
  void take_libraries(const Edits& edits, TableDevice& to) {
    for (const Mount& mount : edits.mounts) {
      const std::size_t slash = mount.path.rfind('/');
      const std::string folder = mount.path.substr(0, slash);
      const auto& folders = edits.library_directories;
      if (std::find(folders.begin(), folders.end(), folder) == folders.end()) continue;
      const auto facts = model::read_elf(mount.host_path);
      if (!facts.ok() || !*facts) continue;
      const std::string path = folder + "/" + (*facts)->soname;
      if (path == mount.path || (*facts)->soname.find('/') != std::string::npos || !is_clean_path(path)) continue;
      need(to.links, table_.place_of(sandbox::TableLink{below_root(path), mount.path.substr(slash + 1)}));
    }
    std::string told;
    for (const std::string& folder : edits.library_directories)
      if (std::find(kUsualLibraryPlaces.begin(), kUsualLibraryPlaces.end(), folder) == kUsualLibraryPlaces.end())
        told += (told.empty() ? "" : ":") + folder;
    if (!told.empty()) to.environment.push_back("LD_LIBRARY_PATH=" + told);
  }

  sandbox::DeviceTable& table_;
};

class Finder {
 public:
  void look_in(const std::string& directory) {
    auto opened = open_directory(directory);
    if (!opened.ok() && opened.error().sys_errno() == ENOENT) return;
    if (!opened.ok()) return note(directory, opened.error());
    os::NameList names;
    if (const int error = names.load(opened->get()); error != 0)
      return note(directory, Error::from_errno(error, "read"));
    std::size_t files = 0;
    here_.clear();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string name = names[i];
      if (!name.ends_with(".yaml") && !name.ends_with(".json")) continue;
      if (++files > kMaxFiles)
        return note(directory, Error(ErrorCode::resource_exhausted, "has more than 64 files: the rest is not read"));
      take_file(directory + "/" + name, read_file(opened->get(), names[i]));
    }
  }

  sandbox::DeviceTable take() {
    for (auto& [name, device] : devices_) {
      if (table_.devices.size() == sandbox::kMaxTableDevices) {
        table_.faults.emplace_back("there are more than 256 devices: the rest is left out");
        break;
      }
      table_.devices.push_back(std::move(device));
    }
    return std::move(table_);
  }

 private:
  void note(const std::string& path, const Error& error) {
    table_.faults.push_back(to_utf8(path + ": " + error.message()));
  }

  void take_file(const std::string& path, const Result<Spec>& spec) {
    if (!spec.ok()) return note(path, spec.error());
    for (const Device& device : spec->devices) {
      TableDevice made = Resolver(table_).device(*spec, device);
      const auto [at, is_first] = here_.emplace(made.name, path);
      if (!is_first) made = {made.name, "both " + at->second + " and " + path + " describe it", {}, {}, {}, {}};
      devices_.insert_or_assign(made.name, std::move(made));
    }
  }

  sandbox::DeviceTable table_;
  std::map<std::string, TableDevice> devices_;  // by name
  std::map<std::string, std::string> here_;     // of the directory that is looked in: which file a name is in
};

}  // namespace

sandbox::DeviceTable find_devices(const std::vector<std::string>& directories) {
  Finder finder;
  for (const std::string& directory : directories) finder.look_in(directory);
  return finder.take();
}

}  // namespace lmsb::cdi
