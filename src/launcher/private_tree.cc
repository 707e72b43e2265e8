#include "launcher/private_tree.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include <climits>

#include "guest_protocol/profile.h"
#include "launcher/id_pool.h"
#include "os/name_list.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kAttach = sys::kMoveMountFEmptyPath;
constexpr std::uint64_t kPlain = sys::kMountNosuid | sys::kMountNodev;

Error mount_error(const std::string& what) { return Error::from_errno(errno, what); }

struct Option {
  const char* key;
  std::string value;  // "" = it takes none
};

// A detached mount of `type`.
Result<UniqueFd> make_mount(const char* type, const std::vector<Option>& options, std::uint64_t attributes) {
  const UniqueFd fs(sys::fsopen(type, sys::kFsopenCloexec));
  if (!fs) return mount_error(std::string("open file system ") + type);
  for (const Option& option : options) {
    const bool is_flag = option.value.empty();
    const unsigned command = is_flag ? sys::kFsconfigSetFlag : sys::kFsconfigSetString;
    if (sys::fsconfig(fs.get(), command, option.key, is_flag ? nullptr : option.value.c_str(), 0) < 0)
      return mount_error(std::string(type) + " option " + option.key + "=" + option.value);
  }
  if (sys::fsconfig(fs.get(), sys::kFsconfigCmdCreate, nullptr, nullptr, 0) < 0)
    return mount_error(std::string("create ") + type);
  UniqueFd mount(sys::fsmount(fs.get(), sys::kFsmountCloexec, static_cast<unsigned>(attributes)));
  if (!mount) return mount_error(std::string("mount ") + type);
  return mount;
}

// A file system in memory, whose root directory is this process's. Who mounts one stands in mountinfo for all who see
// it, by the number that the machine has for that user, but for the machine's root: of a user's that is told an id of
// images, whose numbers a sandbox's own mounts tell anyway.
Result<UniqueFd> make_tmpfs(std::vector<Option> options, std::uint64_t attributes, Starter starter) {
  options.push_back({"mode", "755"});
  if (starter == Starter::root) return make_mount("tmpfs", options, attributes);
  for (const char* owner : {"uid", "gid"}) options.push_back({owner, std::to_string(kImageRangeBase)});
  LMSB_TRY(UniqueFd mount, make_mount("tmpfs", options, attributes));
  if (::fchownat(mount.get(), "", ::geteuid(), ::getegid(), AT_EMPTY_PATH) < 0) return mount_error("own a tmpfs");
  return mount;
}

Result<UniqueFd> clone_tree(int directory, const std::string& path, bool recursive) {
  const unsigned flags = sys::kOpenTreeClone | O_CLOEXEC | AT_EMPTY_PATH | (recursive ? unsigned{AT_RECURSIVE} : 0U);
  UniqueFd tree(sys::open_tree(directory, path.c_str(), flags));
  if (!tree) return mount_error("clone the tree " + path);
  return tree;
}

Status set_attributes(const UniqueFd& tree, std::uint64_t attributes, bool recursive, int userns = -1) {
  sys::MountAttr attr;
  attr.set = attributes;
  if (userns >= 0) {
    attr.set |= sys::kMountIdmap;
    attr.userns_fd = static_cast<std::uint64_t>(userns);
  }
  const unsigned flags = AT_EMPTY_PATH | (recursive ? unsigned{AT_RECURSIVE} : 0U);
  if (sys::mount_setattr(tree.get(), "", flags, attr) < 0) return mount_error("set mount attributes");
  return {};
}

Status attach(const UniqueFd& tree, const std::string& path) {
  if (sys::move_mount(tree.get(), "", AT_FDCWD, path.c_str(), kAttach) < 0) return mount_error("attach " + path);
  return {};
}

Status make_directories(const std::string& root, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (::mkdir((root + "/" + name).c_str(), 0755) < 0 && errno != EEXIST) return mount_error(root + "/" + name);
  return {};
}

// In a container nodes may be refused, or made and not opened. A terminal that is not there is no refusal.
bool make_node(const std::string& path, const guest_protocol::DeviceNode& node) {
  if (::mknod(path.c_str(), S_IFCHR | 0666, ::makedev(node.major, node.minor)) < 0) return false;
  const UniqueFd opened(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if ((opened || errno == ENXIO) && ::chmod(path.c_str(), 0666) == 0) return true;
  (void)::unlink(path.c_str());
  return false;
}

Status bind_device(const std::string& dev, const guest_protocol::DeviceNode& node) {
  const std::string source = std::string("/dev/") + node.name;
  const std::string target = dev + "/" + node.name;
  struct stat info {};
  if (::stat(source.c_str(), &info) < 0) return mount_error(source);
  if (!S_ISCHR(info.st_mode) || info.st_rdev != ::makedev(node.major, node.minor))
    return Error(ErrorCode::failed_precondition, source + " is not the device it should be");
  const UniqueFd file(::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!file) return mount_error(target);
  LMSB_TRY(const UniqueFd tree, clone_tree(AT_FDCWD, source, false));
  return attach(tree, target);
}

// Returns whether all nodes are our own.
Result<bool> make_dev_template(const std::string& dev, Starter starter) {
  LMSB_TRY(const UniqueFd mount,
           make_tmpfs({{"size", "64k"}, {"nr_inodes", "64"}}, sys::kMountNosuid | sys::kMountNoexec, starter));
  LMSB_CHECK(attach(mount, dev));
  LMSB_CHECK(make_directories(dev, {"pts", "shm"}));
  // Nodes of our own, where that is possible: whoever watches the machine's (inotify) sees what the machine does with
  // its devices, and a lock on one is in the way of everybody.
  bool are_ours = true;
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices) {
    if (make_node(dev + "/" + node.name, node)) continue;
    LMSB_CHECK(bind_device(dev, node));
    are_ours = false;
  }
  constexpr std::array<std::array<const char*, 2>, 5> kLinks = {{{"/proc/self/fd", "fd"},
                                                                 {"/proc/self/fd/0", "stdin"},
                                                                 {"/proc/self/fd/1", "stdout"},
                                                                 {"/proc/self/fd/2", "stderr"},
                                                                 {"pts/ptmx", "ptmx"}}};
  for (const auto& [target, name] : kLinks)
    if (::symlink(target, (dev + "/" + name).c_str()) < 0) return mount_error(dev + "/" + name);
  LMSB_CHECK(set_attributes(mount, sys::kMountRdonly, false));
  return are_ours;
}

// The links of a directory, nothing else of it. There are hundreds of them, and a start waits: by descriptors and
// without looking at each this takes less than std::filesystem::copy does.
void copy_links(const char* from, const std::string& to) {
  const UniqueFd source(::open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!source || ::mkdir(to.c_str(), 0755) < 0) return;
  const UniqueFd target(::open(to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  os::NameList names;
  if (!target || names.load(source.get()) != 0) return;
  std::array<char, PATH_MAX> text{};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ssize_t size = ::readlinkat(source.get(), names[i], text.data(), text.size() - 1);
    if (size < 0) continue;  // it is no link
    text[static_cast<std::size_t>(size)] = '\0';
    (void)::symlinkat(text.data(), target.get(), names[i]);
  }
}

// Copies what programs need of the machine's /etc: nothing secret, nothing of its users. What is missing is left out.
void copy_etc(const std::string& to) {
  constexpr auto kOptions =
      fs::copy_options::recursive | fs::copy_options::copy_symlinks | fs::copy_options::skip_existing;
  std::error_code ignored;  // a machine without one of these just lacks it inside
  fs::create_directories(to + "/ssl", ignored);
  copy_links("/etc/alternatives", to + "/alternatives");
  for (const char* name : {"ld.so.cache", "localtime", "protocols", "services", "mime.types", "magic", "bash.bashrc",
                           "profile", "debian_version", "ssl/openssl.cnf"})
    fs::copy(std::string("/etc/") + name, to + "/" + name, kOptions, ignored);
  // Of the certificates only the bundle and its hashed names: links into /usr, never keys.
  copy_links("/etc/ssl/certs", to + "/ssl/certs");
  fs::copy_file("/etc/ssl/certs/ca-certificates.crt", to + "/ssl/certs/ca-certificates.crt", ignored);
}

// Of a template: what hides other things. It can be written to yet.
Result<UniqueFd> make_masks(const std::string& path, Starter starter) {
  LMSB_TRY(UniqueFd mount, make_tmpfs({{"size", "16m"}}, kPlain | sys::kMountNoexec, starter));
  LMSB_CHECK(attach(mount, path));
  LMSB_CHECK(make_directories(path, {"void", "bin"}));
  const UniqueFd empty(::open((path + "/empty").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!empty) return mount_error(path + "/empty");
  return mount;
}

Status make_private_template(const std::string& path, Starter starter) {
  LMSB_TRY(const UniqueFd mount, make_masks(path, starter));
  return set_attributes(mount, sys::kMountRdonly, false);
}

Status copy_program(int program, const std::string& to) {
  const UniqueFd file(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));
  if (!file || ::fchmod(file.get(), 0755) < 0) return mount_error(to);
  constexpr std::size_t kPiece = std::size_t{1} << 20U;
  off_t offset = 0;
  ssize_t copied = 0;
  do copied = ::sendfile(file.get(), program, &offset, kPiece);
  while (copied > 0);
  return copied < 0 ? mount_error("copy the guest's program to " + to) : Status();
}

Status make_sudo_template(const std::string& path, int program, Starter starter) {
  (void)::umount2(path.c_str(), MNT_DETACH);  // one that did not become whole
  LMSB_TRY(const UniqueFd mount, make_tmpfs({{"size", "4m"}, {"nr_inodes", "8"}}, kPlain, starter));
  LMSB_CHECK(attach(mount, path));
  LMSB_CHECK(copy_program(program, path + "/sudo"));
  return set_attributes(mount, sys::kMountRdonly, false);
}

// tmpfs maps ids from kernel 6.3 on; before, these files show as nobody's, which hurts nothing.
Result<UniqueFd> clone_template(const std::string& path, int userns) {
  LMSB_TRY(UniqueFd tree, clone_tree(AT_FDCWD, path, false));
  if (auto mapped = set_attributes(tree, 0, false, userns); !mapped.ok() && mapped.error().sys_errno() != EINVAL)
    return std::move(mapped).error();
  return tree;
}

// The mount namespace that this process is in now.
Result<UniqueFd> open_namespace() {
  UniqueFd ns(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!ns) return mount_error("open the mount namespace");
  return ns;
}

Status bind(const std::string& source, const std::string& target, std::uint64_t attributes) {
  LMSB_TRY(const UniqueFd tree, clone_tree(AT_FDCWD, source, true));
  LMSB_CHECK(set_attributes(tree, attributes, true));
  return attach(tree, target);
}

// The processes that the launcher sees are the machine's, whose procfs no namespace of a user's may mount anew.
Status put_proc(const std::string& target, Starter starter) {
  constexpr std::uint64_t kAttributes = kPlain | sys::kMountNoexec;
  if (starter == Starter::user) return bind("/proc", target, kAttributes);
  LMSB_TRY(const UniqueFd proc, make_mount("proc", {}, kAttributes));
  return attach(proc, target);
}

// Returns whether the nodes of /dev are our own.
Result<bool> build(const std::string& root, const std::string& image_root, const std::string& cgroup_v2_mount,
                   const UniqueFd& store, Starter starter) {
  LMSB_TRY(const UniqueFd mount, make_tmpfs({{"size", "1m"}}, kPlain, starter));
  LMSB_CHECK(attach(mount, root));
  LMSB_CHECK(make_directories(
      root, {"root", "proc", "cgroup", "usr", "images", "store", "dev", "private", "host", "sudo", "lower", "work"}));
  LMSB_CHECK(put_proc(root + "/proc", starter));
  LMSB_CHECK(bind(cgroup_v2_mount, root + "/cgroup", kPlain | sys::kMountNoexec));
  LMSB_CHECK(bind("/usr", root + "/usr", kPlain | sys::kMountRdonly));
  LMSB_CHECK(bind(image_root, root + "/images", kPlain));
  if (store) LMSB_CHECK(attach(store, root + "/store"));
  LMSB_TRY(const bool has_own_nodes, make_dev_template(root + "/dev", starter));
  LMSB_CHECK(make_private_template(root + "/private", starter));
  return has_own_nodes;
}

}  // namespace

// While it lives this process is in the machine's mount namespace. It never goes on with the machine's files in reach.
class PrivateTree::Outside {
 public:
  explicit Outside(const PrivateTree& tree)
      : own_(tree.own_namespace_), is_there_(::setns(tree.outer_namespace_.get(), CLONE_NEWNS) == 0) {}
  ~Outside() {
    if (is_there_) LMSB_ASSERT(::setns(own_.get(), CLONE_NEWNS) == 0);
  }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  bool is_there() const { return is_there_; }

 private:
  const UniqueFd& own_;
  bool is_there_;
};

Result<PrivateTree> PrivateTree::enter(const std::string& scratch, const std::string& image_root,
                                       const std::string& cgroup_v2_mount, const UniqueFd& store, Starter starter) {
  PrivateTree tree;
  tree.starter_ = starter;
  LMSB_TRY(tree.outer_namespace_, open_namespace());
  if (::unshare(CLONE_NEWNS) < 0) return mount_error("unshare the mount namespace");
  LMSB_TRY(tree.own_namespace_, open_namespace());
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return mount_error("make mounts private");
  LMSB_TRY(tree.has_own_nodes_, build(scratch, image_root, cgroup_v2_mount, store, starter));
  if (::chdir(scratch.c_str()) < 0) return mount_error("enter " + scratch);
  if (sys::pivot_root(".", ".") < 0) return mount_error("pivot into " + scratch);
  if (::umount2(".", MNT_DETACH) < 0) return mount_error("let the machine's tree go");
  if (::chdir("/") < 0) return mount_error("enter the new root");
  return tree;
}

Result<UniqueFd> PrivateTree::clone_dev() const { return clone_tree(AT_FDCWD, "/dev", true); }

Result<UniqueFd> PrivateTree::clone_private(int userns) const { return clone_template("/private", userns); }

Result<UniqueFd> PrivateTree::clone_host(int userns) {
  if (!has_host_template_) LMSB_CHECK(make_host_template());
  has_host_template_ = true;
  return clone_template("/host", userns);
}

Result<UniqueFd> PrivateTree::clone_sudo(int guest_program, int userns) {
  if (!has_sudo_template_) LMSB_CHECK(make_sudo_template("/sudo", guest_program, starter_));
  has_sudo_template_ = true;
  return clone_template("/sudo", userns);
}

// The mount is reached through its descriptor from outside, where no path leads to it. What the machine lacks of /etc
// is left out; a place that cannot be reached is an error.
Status PrivateTree::make_host_template() const {
  (void)::umount2("/host", MNT_DETACH);  // one that did not become whole
  LMSB_TRY(const UniqueFd mount, make_masks("/host", starter_));
  LMSB_CHECK(make_directories("/host", {"etc"}));
  const std::string etc = "/proc/self/fd/" + std::to_string(mount.get()) + "/etc";
  {
    const Outside outside(*this);
    if (!outside.is_there()) return mount_error("enter the machine's mount namespace");
    if (::access(etc.c_str(), F_OK) < 0) return mount_error("reach " + etc + " by the machine's /proc");
    copy_etc(etc);
  }
  return set_attributes(mount, sys::kMountRdonly, false);
}

Result<UniqueFd> PrivateTree::clone_usr(int userns) const {
  LMSB_TRY(UniqueFd tree, clone_tree(AT_FDCWD, "/usr", true));
  if (starter_ == Starter::user) return tree;
  if (auto mapped = set_attributes(tree, 0, true, userns); !mapped.ok() && mapped.error().sys_errno() != EINVAL)
    return std::move(mapped).error();
  return tree;
}

Result<UniqueFd> PrivateTree::clone_cgroup(const std::string& path) const {
  return clone_tree(AT_FDCWD, "/cgroup/" + path, false);
}

Result<UniqueFd> PrivateTree::clone_passed(int source, bool read_only, int userns) const {
  UniqueFd tree;
  {
    const Outside outside(*this);
    if (!outside.is_there()) return mount_error("enter the machine's mount namespace");
    auto cloned = clone_tree(source, "", false);
    // A namespace of a user's may not uncover what another file system is mounted on.
    if (!cloned.ok() && starter_ == Starter::user && cloned.error().sys_errno() == EINVAL)
      return Error::from_errno(EXDEV, "something else is mounted below the directory");
    if (!cloned.ok()) return std::move(cloned).error();
    tree = *std::move(cloned);
  }
  if (auto mapped = set_attributes(tree, kPlain | (read_only ? sys::kMountRdonly : 0), false, userns); !mapped.ok())
    return std::move(mapped).error().with_hint(
        "its file system cannot map ids on this kernel (tmpfs can from Linux 6.3 on)");
  return tree;
}

Result<UniqueFd> PrivateTree::clone_image(const std::string& image, int image_userns) const {
  LMSB_TRY(UniqueFd layer, clone_tree(AT_FDCWD, "/images/" + image + "/rootfs", false));
  const int mapping = starter_ == Starter::user ? -1 : image_userns;
  LMSB_CHECK(set_attributes(layer, kPlain | sys::kMountRdonly, false, mapping));
  return layer;
}

Result<UniqueFd> PrivateTree::clone_disk(const std::string& path, int image_userns, Access access) const {
  LMSB_TRY(UniqueFd disk, clone_tree(AT_FDCWD, "/store/" + path, false));
  const std::uint64_t attributes = kPlain | (access == Access::read_only ? sys::kMountRdonly : 0);
  LMSB_CHECK(set_attributes(disk, attributes, false, image_userns));
  return disk;
}

namespace {

// Whether a layer in memory can be marked as hiding what is below it: before Linux 6.6 it could not by a user's
// namespace, and the overlay would show again what a sandbox has removed.
Status try_marks(const char* directory) {
  constexpr const char* kMark = "user.overlay.lmsb";
  if (::setxattr(directory, kMark, "y", 1, 0) < 0) return Error::from_errno(EOPNOTSUPP, "mark a layer in memory");
  return ::removexattr(directory, kMark) < 0 ? mount_error("mark a layer in memory") : Status();
}

}  // namespace

// The overlay's layers must stand in this namespace while it is mounted; afterwards only the overlay holds them.
Result<UniqueFd> PrivateTree::overlay(const sandbox::LaunchPlan& plan, int image_userns, std::uint32_t id_base) const {
  const std::string lower_at = "/lower";
  LMSB_TRY(const UniqueFd layer, clone_image(plan.image.data(), image_userns));
  const std::vector<Option> room = {{"size", std::to_string(plan.root_bytes)},
                                    {"nr_inodes", std::to_string(plan.root_inodes)}};
  LMSB_TRY(const UniqueFd upper, make_tmpfs(room, kPlain, starter_));
  LMSB_CHECK(attach(layer, lower_at));
  LMSB_CHECK(attach(upper, "/work"));
  const auto mount_overlay = [&]() -> Result<UniqueFd> {
    LMSB_CHECK(make_directories("/work", {"upper", "work"}));
    if (starter_ == Starter::user) LMSB_CHECK(try_marks("/work/upper"));
    if (::chown("/work/upper", id_base, id_base) < 0) return mount_error("own the upper layer");
    std::vector<Option> options = {{"lowerdir", lower_at},
                                   {"upperdir", "/work/upper"},
                                   {"workdir", "/work/work"},
                                   {"index", "off"},
                                   {"xino", "off"}};
    if (starter_ == Starter::root) {
      options.push_back({"redirect_dir", "off"});
      options.push_back({"metacopy", "off"});
    } else {  // both are off with it: what marks what is gone there is no attribute that the machine's root alone may
              // set
      options.push_back({"userxattr", ""});
    }
    auto made = make_mount("overlay", options, kPlain | sys::kMountNoatime);
    const bool is_refused = !made.ok() && (made.error().sys_errno() == EPERM || made.error().sys_errno() == EINVAL);
    if (starter_ == Starter::user && is_refused)  // before Linux 5.11
      return Error::from_errno(EOPNOTSUPP, "the kernel mounts no overlay for a user");
    return made;
  };
  auto mounted = mount_overlay();
  (void)::umount2("/work", MNT_DETACH);
  (void)::umount2(lower_at.c_str(), MNT_DETACH);
  return mounted;
}

}  // namespace lmsb::launcher
