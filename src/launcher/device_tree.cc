#include "launcher/device_tree.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/assert.h"
#include "guest_protocol/devices.h"
#include "guest_protocol/profile.h"
#include "os/memfd.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

using guest_protocol::DeviceRecord;
using guest_protocol::DeviceRecordKind;
using sandbox::TableDevice;

Error failed(const std::string& what) { return Error::from_errno(errno, what); }

Status make_directory(const std::string& path) {
  return ::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST ? failed("make " + path) : Status();
}

Status mount_tmpfs(const std::string& path, const char* options, unsigned long flags) {
  return ::mount("tmpfs", path.c_str(), "tmpfs", flags, options) < 0 ? failed("mount " + path) : Status();
}

Status make_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  return file ? Status() : failed("make " + path);
}

Status set_attributes(const std::string& path, std::uint64_t attributes, unsigned flags = 0) {
  sys::MountAttr attr;
  attr.set = attributes;
  return sys::mount_setattr(AT_FDCWD, path.c_str(), flags, attr) < 0 ? failed("restrict " + path) : Status();
}

Status bind(const std::string& source, const std::string& target, std::uint64_t attributes) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0) return failed("show " + source);
  return set_attributes(target, attributes);
}

// A node of our own, or the machine's, if that is this device.
Status provide_node(const std::string& path, const std::string& host_path, dev_t number) {
  if (::mknod(path.c_str(), S_IFCHR | 0666, number) == 0) {
    const UniqueFd opened(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if ((opened || errno != EPERM) && ::chmod(path.c_str(), 0666) == 0) return {};
    (void)::unlink(path.c_str());
  }
  struct stat info {};
  if (::stat(host_path.c_str(), &info) < 0) return failed(host_path);
  if (!S_ISCHR(info.st_mode) || info.st_rdev != number)
    return Error(ErrorCode::failed_precondition, host_path + " is not the device it should be");
  LMSB_CHECK(make_file(path));
  return bind(host_path, path, sys::kMountNosuid);
}

Status provide_file(const std::string& path, const std::string& host_path) {
  struct stat info {};
  if (::stat(host_path.c_str(), &info) < 0) return failed(host_path);
  LMSB_CHECK(S_ISDIR(info.st_mode) ? make_directory(path) : make_file(path));
  return bind(host_path, path, sys::kMountRdonly | sys::kMountNosuid | sys::kMountNodev);
}

Result<UniqueFd> open_namespace() {
  UniqueFd ns(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!ns) return failed("open the mount namespace");
  return ns;
}

Result<UniqueFd> clone_all(const char* path) {
  UniqueFd tree(sys::open_tree(AT_FDCWD, path, sys::kOpenTreeClone | O_CLOEXEC | unsigned{AT_RECURSIVE}));
  if (!tree) return failed(std::string("clone the tree ") + path);
  return tree;
}

// What all devices of the plan need of one list of the table.
std::set<std::uint32_t> needs(const sandbox::DeviceTable& table, const sandbox::LaunchPlan& plan,
                              std::vector<std::uint32_t> TableDevice::*list) {
  std::set<std::uint32_t> all;
  for (std::uint32_t i = 0; i < plan.device_count; ++i) {
    const std::vector<std::uint32_t>& places = table.devices[plan.devices[i]].*list;
    all.insert(places.begin(), places.end());
  }
  return all;
}

// The image `host` has the machine's own: nothing can be put there, and it is there.
bool is_there_anyway(const sandbox::LaunchPlan& plan, const std::string& path) {
  constexpr std::array<std::string_view, 6> kOfUsr = {"usr/", "lib/", "lib64/", "bin/", "sbin/", "lib32/"};
  return plan.root == guest_protocol::RootKind::host_tree &&
         std::any_of(kOfUsr.begin(), kOfUsr.end(), [&](std::string_view place) { return path.starts_with(place); });
}

void add_record(std::string& text, DeviceRecordKind kind, std::uint32_t number, const std::string& path,
                const std::string& target) {
  DeviceRecord record;
  record.kind = kind;
  record.number = number;
  (void)path.copy(record.path.data(), record.path.size() - 1);
  (void)target.copy(record.target.data(), record.target.size() - 1);
  std::array<char, sizeof record> octets{};
  std::memcpy(octets.data(), &record, sizeof record);
  text.append(octets.data(), octets.size());
}

}  // namespace

// While it lives this process is in the tree's mount namespace. It never goes on there.
class DeviceTree::Inside {
 public:
  explicit Inside(const DeviceTree& tree) : is_there_(false) {
    auto before = open_namespace();
    if (!before.ok()) return;
    before_ = *std::move(before);
    is_there_ = ::setns(tree.own_.get(), CLONE_NEWNS) == 0;
  }
  ~Inside() {
    if (is_there_) LMSB_ASSERT(::setns(before_.get(), CLONE_NEWNS) == 0);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  bool is_there() const { return is_there_; }

 private:
  UniqueFd before_;
  bool is_there_;
};

Result<DeviceTree> DeviceTree::make(const sandbox::DeviceTable& table, const std::string& scratch) {
  DeviceTree tree(table);
  LMSB_TRY(tree.outer_, open_namespace());
  if (::unshare(CLONE_NEWNS) < 0) return failed("unshare a mount namespace for devices");
  LMSB_TRY(tree.own_, open_namespace());
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return failed("make mounts private");
  LMSB_CHECK(mount_tmpfs(scratch, "size=4m,mode=755", MS_NOSUID));
  if (::chdir(scratch.c_str()) < 0) return failed("enter " + scratch);
  LMSB_CHECK(tree.build());
  if (sys::pivot_root(".", ".") < 0 || ::umount2(".", MNT_DETACH) < 0) return failed("let the machine's tree go");
  if (::setns(tree.outer_.get(), CLONE_NEWNS) < 0) return failed("go back to the machine's mount namespace");
  return tree;
}

// In the directory that becomes its root, with the machine's files still in reach.
Status DeviceTree::build() {
  for (const char* name : {"files", "nodes", "base", "dev"}) LMSB_CHECK(make_directory(name));
  LMSB_CHECK(mount_tmpfs("files", "size=1m,mode=755", MS_NOSUID | MS_NODEV));
  for (std::size_t i = 0; i < table_->files.size(); ++i)
    has_file_.push_back(provide_file("files/" + std::to_string(i), table_->files[i].host_path).ok());
  for (std::size_t i = 0; i < table_->nodes.size(); ++i) {
    const sandbox::TableNode& node = table_->nodes[i];
    const bool is_there =
        provide_node("nodes/" + std::to_string(i), node.host_path, ::makedev(node.major, node.minor)).ok();
    has_node_.push_back(is_there && !node.is_block);
  }
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices)
    LMSB_CHECK(provide_node(std::string("base/") + node.name, std::string("/dev/") + node.name,
                            ::makedev(node.major, node.minor)));
  return set_attributes("files", sys::kMountRdonly);
}

Status DeviceTree::check(const sandbox::LaunchPlan& plan) const {
  const auto is_usable = [this](std::uint32_t place) {
    if (place >= table_->devices.size() || !table_->devices[place].fault.empty()) return false;
    const TableDevice& device = table_->devices[place];
    return std::all_of(device.files.begin(), device.files.end(), [this](auto i) { return has_file_[i]; }) &&
           std::all_of(device.nodes.begin(), device.nodes.end(), [this](auto i) { return has_node_[i]; });
  };
  if (std::all_of(plan.devices.begin(), plan.devices.begin() + plan.device_count, is_usable)) return {};
  return Error::from_errno(ENODEV, "give a device of the machine");
}

// In /dev of the tree's namespace, which is empty. The nodes appear one by one, so that no other of the machine's does.
Status DeviceTree::make_dev(const sandbox::LaunchPlan& plan) const {
  LMSB_CHECK(mount_tmpfs("/dev", "size=64k,nr_inodes=1024,mode=755", MS_NOSUID | MS_NOEXEC));
  for (const char* name : {"/dev/pts", "/dev/shm"}) LMSB_CHECK(make_directory(name));
  constexpr std::uint64_t kNode = sys::kMountNosuid | sys::kMountNoexec;
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices) {
    const std::string path = std::string("/dev/") + node.name;
    LMSB_CHECK(make_file(path));
    LMSB_CHECK(bind(std::string("/base/") + node.name, path, kNode));
  }
  for (const std::uint32_t place : needs(*table_, plan, &TableDevice::nodes)) {
    const std::string path = "/dev/" + table_->nodes[place].name;
    for (std::size_t at = path.find('/', 5); at != std::string::npos; at = path.find('/', at + 1))
      LMSB_CHECK(make_directory(path.substr(0, at)));
    LMSB_CHECK(make_file(path));
    LMSB_CHECK(bind("/nodes/" + std::to_string(place), path, kNode));
  }
  constexpr std::array<std::array<const char*, 2>, 5> kLinks = {{{"/proc/self/fd", "/dev/fd"},
                                                                 {"/proc/self/fd/0", "/dev/stdin"},
                                                                 {"/proc/self/fd/1", "/dev/stdout"},
                                                                 {"/proc/self/fd/2", "/dev/stderr"},
                                                                 {"pts/ptmx", "/dev/ptmx"}}};
  for (const auto& [target, path] : kLinks)
    if (::symlink(target, path) < 0) return failed(path);
  return set_attributes("/dev", sys::kMountRdonly, AT_RECURSIVE);
}

Result<UniqueFd> DeviceTree::records_for(const sandbox::LaunchPlan& plan) const {
  std::string text;
  for (const std::uint32_t place : needs(*table_, plan, &TableDevice::files))
    if (const auto& file = table_->files[place]; !is_there_anyway(plan, file.path))
      add_record(text, DeviceRecordKind::show, place, file.path, "");
  for (const std::uint32_t place : needs(*table_, plan, &TableDevice::links))
    if (const auto& link = table_->links[place]; !is_there_anyway(plan, link.path))
      add_record(text, DeviceRecordKind::link, 0, link.path, link.target);
  return os::make_sealed_memfd("lm-sandbox-device-records", text);
}

Result<DeviceTree::Parts> DeviceTree::parts_for(const sandbox::LaunchPlan& plan) const {
  Parts parts;
  LMSB_TRY(parts.records, records_for(plan));
  const Inside inside(*this);
  if (!inside.is_there()) return failed("enter the mount namespace of devices");
  const Status made = make_dev(plan);
  auto dev = made.ok() ? clone_all("/dev") : Result<UniqueFd>(Error(made.error()));
  (void)::umount2("/dev", MNT_DETACH);
  if (!dev.ok()) return std::move(dev).error();
  parts.dev = *std::move(dev);
  LMSB_TRY(parts.files, clone_all("/files"));
  return parts;
}

}  // namespace lmsb::launcher
