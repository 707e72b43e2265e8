#include "launcher/disk_store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <utility>

#include "launcher/helper_process.h"
#include "launcher/id_pool.h"
#include "os/btrfs.h"
#include "os/directory_stream.h"
#include "os/file_lock.h"
#include "os/loop_device.h"
#include "os/sys.h"
#include "sandbox/disk_id.h"

namespace lmsb::launcher {
namespace {

namespace btrfs = os::btrfs;

constexpr std::uint64_t kSmallest = 2 * DiskStore::kFloor;  // of which kFloor stays free within
constexpr const char* kImage = "store.img";
constexpr const char* kNewImage = "store.img.new";

Error cannot(const std::string& why) {
  return Error(ErrorCode::unsupported, "sandboxes' disks cannot be kept here: " + why);
}

std::uint64_t free_bytes(int directory) {
  struct statvfs fs {};
  return ::fstatvfs(directory, &fs) == 0 ? std::uint64_t{fs.f_bavail} * fs.f_frsize : 0;
}

const char* find_mkfs() {
  for (const char* path : {"/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs"})
    if (::access(path, X_OK) == 0) return path;
  return nullptr;
}

constexpr int kMkfsLimitMs = 60'000;  // it writes some megabytes, whatever the size

// Whether it ended well, and in time; it is killed otherwise. Where there is no descriptor left for it, it is waited
// for.
bool ends_well(pid_t child) {
  const UniqueFd process(sys::pidfd_open(child));
  pollfd end{process.get(), POLLIN, 0};
  if (process && ::poll(&end, 1, kMkfsLimitMs) != 1) (void)sys::pidfd_send_signal(process.get(), SIGKILL);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Without the machine's environment; its output is of no use to anybody.
bool run_mkfs(const char* program, const std::string& file) {
  std::string path = file;
  std::array<std::string, 7> words = {program,  "--quiet", "--nodiscard", "--metadata",
                                      "single", "--label", "lm-sandbox"};
  std::array<char*, 9> argv{};
  for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
  argv[words.size()] = path.data();
  char* no_environment = nullptr;
  pid_t child = -1;
  posix_spawn_file_actions_t silent;
  ::posix_spawn_file_actions_init(&silent);
  for (const int fd : {0, 1, 2}) ::posix_spawn_file_actions_addopen(&silent, fd, "/dev/null", O_RDWR, 0);
  const int failed = ::posix_spawn(&child, program, &silent, nullptr, argv.data(), &no_environment);
  ::posix_spawn_file_actions_destroy(&silent);
  return failed == 0 && ends_well(child);
}

// Under another name until it is whole.
Status make_image(int directory, const std::string& path, std::uint64_t size) {
  const char* mkfs = find_mkfs();
  if (mkfs == nullptr) return cannot("the program mkfs.btrfs is missing").with_hint("apt-get install btrfs-progs");
  const std::uint64_t free = free_bytes(directory);
  const std::uint64_t bytes = (size > 0 ? size : free / 4 * 3) / 4096 * 4096;
  if (size > 0 && bytes < kSmallest)
    return Error(ErrorCode::invalid_argument, "a store of sandboxes' disks needs 2 GiB, and disks.store_size is less");
  if (bytes < kSmallest || free < kSmallest)
    return cannot("less than 2.7 GiB are free in " + path).with_hint("make room, or choose another --data-dir");
  UniqueFd file(::openat(directory, kNewImage, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Error::from_errno(errno, "make " + path + "/" + kNewImage);
  int flags = FS_NOCOW_FL;  // on btrfs; elsewhere no such thing is needed, or known
  (void)::ioctl(file.get(), FS_IOC_SETFLAGS, &flags);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) < 0) return cannot("a file of that size cannot be made");
  if (!run_mkfs(mkfs, path + "/" + kNewImage)) return cannot(std::string(mkfs) + " failed, or took more than a minute");
  if (::fsync(file.get()) < 0 || ::renameat(directory, kNewImage, directory, kImage) < 0)
    return Error::from_errno(errno, "make " + path + "/" + kImage);
  return {};
}

Result<UniqueFd> mount_device(const std::string& device) {
  const UniqueFd fs(sys::fsopen("btrfs", sys::kFsopenCloexec));
  if (!fs) return Error::from_errno(errno, "this kernel has no btrfs");
  const auto set = [&fs](unsigned command, const char* key, const char* value) {
    return sys::fsconfig(fs.get(), command, key, value, 0) == 0;
  };
  // Blocks that are given back leave the file, too.
  if (!set(sys::kFsconfigSetString, "source", device.c_str()) || !set(sys::kFsconfigSetString, "discard", "sync") ||
      !set(sys::kFsconfigCmdCreate, nullptr, nullptr))
    return Error::from_errno(errno, "mount the store on " + device);
  const std::uint64_t attributes = sys::kMountNosuid | sys::kMountNodev | sys::kMountNoatime;
  UniqueFd mount(sys::fsmount(fs.get(), sys::kFsmountCloexec, static_cast<unsigned>(attributes)));
  if (!mount) return Error::from_errno(errno, "mount the store");
  return mount;
}

// The kernel has ended all writing to a file system that somebody uses: it does not let it be written to again
// ("Remounting read-write after error is not allowed", EINVAL). It is a new one once nobody uses this one any more.
bool has_failed_in_use(const os::LoopDevice& device, const Error& error) {
  return device.had_it && (error.sys_errno() == EINVAL || error.sys_errno() == EROFS);
}

Result<UniqueFd> open_within(int mount, const char* name) {
  if (::mkdirat(mount, name, 0700) < 0 && errno != EEXIST)
    return Error::from_errno(errno, "make a directory of the store");
  UniqueFd directory(::openat(mount, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return Error::from_errno(errno, "open a directory of the store");
  return directory;
}

os::DirectoryStream list(int directory) {
  return os::stream_of(UniqueFd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
}

Result<std::vector<std::string>> names_in(int directory) {
  const auto entries = list(directory);
  if (!entries) return Error::from_errno(errno, "read a directory of the store");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(entries.get()))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  if (errno != 0) return Error::from_errno(errno, "read a directory of the store");
  return names;
}

Result<std::vector<std::string>> ids_in(int directory) {
  LMSB_TRY(auto names, names_in(directory));
  std::erase_if(names, [](const std::string& name) { return !sandbox::is_disk_id(name); });
  return names;
}

// Of a helper.
[[noreturn]] void end_with(const Status& done) {
  const int error = done.ok() ? 0 : done.error().sys_errno();
  ::_exit(done.ok() || (error > 0 && error < 128) ? error : EIO);
}

// Of a helper: what is in the trash, and then nothing more.
[[noreturn]] void empty_trash(int trash) {
  const auto names = names_in(trash);
  if (!names.ok()) ::_exit(EIO);
  for (const std::string& name : *names) (void)btrfs::destroy_subvolume(trash, name.c_str());
  ::_exit(0);
}

}  // namespace

Result<DiskStore> DiskStore::open(const std::string& directory, std::uint64_t size) {
  DiskStore store;
  if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) return Error::from_errno(errno, "make " + directory);
  store.directory_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!store.directory_) return Error::from_errno(errno, "open " + directory);
  store.lock_.reset(::openat(store.directory_.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!store.lock_) return Error::from_errno(errno, "open " + directory + "/lock");
  LMSB_TRY(const bool is_locked, os::lock_file(store.lock_.get()));
  if (!is_locked)
    return Error(ErrorCode::already_exists, "another lm-sandbox keeps its sandboxes in " + directory)
        .with_hint("stop it, or choose another directory with --data-dir");
  LMSB_TRY(store.disk_locks_, open_within(store.directory_.get(), "locks"));
  const auto open_image = [&] {
    return UniqueFd(::openat(store.directory_.get(), kImage, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  };
  UniqueFd image = open_image();
  const bool is_new = !image && errno == ENOENT;
  if (is_new) {
    LMSB_CHECK(make_image(store.directory_.get(), directory, size));
    image = open_image();
  }
  if (!image) return Error::from_errno(errno, "open " + directory + "/" + kImage);
  // Of a store that is there nothing is `unsupported`: without it, what was kept would be lost.
  const auto give_up = [&](const Error& error) {
    if (!is_new)
      return Error(error)
          .with_code(ErrorCode::failed_precondition)
          .with_hint("what kept sandboxes have is in " + directory + "/" + kImage +
                     ", and was left as it is: look with df and dmesg at what it lies on, then start again; "
                     "docs/user/lifecycle.md, When the disk fails");
    (void)::unlinkat(store.directory_.get(), kImage, 0);
    return cannot(error.message());
  };
  auto device = os::attach_loop_device(image.get());
  if (!device.ok()) return give_up(device.error());
  auto mounted = mount_device(device->path);
  if (!mounted.ok() && has_failed_in_use(*device, mounted.error()))
    return Error(ErrorCode::unavailable, "the file system in " + directory + "/" + kImage + " has failed")
        .with_slug("store_failed")  // kFailedInUse
        .with_hint("something still uses it: end the sandboxes of a daemon with another --run-dir, or what mounted it");
  if (!mounted.ok()) return give_up(mounted.error());
  store.mount_ = *std::move(mounted);
  const UniqueFd top(::openat(store.mount_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return Error::from_errno(errno, "open the store");
  const auto is_second = btrfs::is_second_copy(top.get());
  if (!is_second.ok()) return give_up(is_second.error());
  if (*is_second)
    return Error(ErrorCode::failed_precondition, directory + "/" + kImage + " is mounted already, by somebody else")
        .with_hint("unmount it there: writing to it twice would destroy it");
  if (const Status counted = btrfs::enable_quota(top.get()); !counted.ok()) return give_up(counted.error());
  LMSB_TRY(store.fresh_, open_within(top.get(), "fresh"));
  LMSB_TRY(store.disks_, open_within(top.get(), "disks"));
  LMSB_TRY(store.snapshots_, open_within(top.get(), "snapshots"));
  LMSB_TRY(store.volumes_, open_within(top.get(), "volumes"));
  LMSB_TRY(store.moving_, open_within(top.get(), "moving"));
  LMSB_TRY(store.trash_, open_within(top.get(), "trash"));
  LMSB_TRY(const auto unfinished, names_in(store.moving_.get()));
  for (const std::string& name : unfinished)  // of copies that were cut short
    (void)::renameat(store.moving_.get(), name.c_str(), store.trash_.get(), name.c_str());
  return store;
}

Status DiskStore::check() const {
  struct statvfs fs {};
  if (::fstatvfs(fresh_.get(), &fs) < 0) return Error::from_errno(errno, "look at the store");
  if ((fs.f_flag & ST_RDONLY) != 0) return Error::from_errno(EROFS, "the store cannot be written to any more");
  return {};
}

Status DiskStore::check_room() const {
  LMSB_CHECK(check());
  if (std::min(free_bytes(directory_.get()), free_bytes(mount_.get())) >= kFloor) return {};
  return Error::from_errno(ENOSPC, "the store has less than 1 GiB left");
}

Status DiskStore::make(const std::string& id, std::uint64_t bytes) {
  LMSB_CHECK(check_room());
  LMSB_CHECK(btrfs::make_subvolume(fresh_.get(), id.c_str()));
  LMSB_TRY(const UniqueFd disk, open_disk(id));
  LMSB_CHECK(btrfs::limit_subvolume(disk.get(), disks_.get(), bytes));
  const std::uint32_t owner = kImageRangeBase + (sandbox::is_volume_id(id) ? guest_protocol::kCommandUid : 0);
  if (::fchown(disk.get(), owner, owner) < 0) return Error::from_errno(errno, "own the disk");
  return {};
}

Result<UniqueFd> DiskStore::lock(const std::string& id) const {
  constexpr int kFlags = O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd lock(::openat(disk_locks_.get(), id.c_str(), kFlags, 0600));
  if (!lock) return Error::from_errno(errno, "open the lock of a disk");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0)
    return Error::from_errno(errno == EWOULDBLOCK ? EBUSY : errno, "lock a disk");
  return lock;
}

Result<UniqueFd> DiskStore::open_disk(const std::string& id) const {
  UniqueFd disk(::openat(place_of(id), id.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!disk) return Error::from_errno(errno, "open the disk");
  return disk;
}

Status DiskStore::limit(const std::string& id, std::uint64_t bytes) {
  LMSB_TRY(const UniqueFd disk, open_disk(id));
  return btrfs::limit_subvolume(disk.get(), disks_.get(), bytes);
}

Result<std::uint64_t> DiskStore::held_bytes(const std::string& id) const {
  LMSB_TRY(const UniqueFd disk, open_disk(id));
  return btrfs::held_bytes(disk.get());
}

bool DiskStore::is_fresh(const std::string& id) const { return ::faccessat(fresh_.get(), id.c_str(), F_OK, 0) == 0; }

int DiskStore::claimed_place_of(const std::string& id) const {
  if (sandbox::is_volume_id(id)) return volumes_.get();
  return sandbox::is_snapshot_id(id) ? snapshots_.get() : disks_.get();
}

int DiskStore::place_of(const std::string& id) const { return is_fresh(id) ? fresh_.get() : claimed_place_of(id); }

bool DiskStore::has(const std::string& id) const { return ::faccessat(place_of(id), id.c_str(), F_OK, 0) == 0; }

std::string DiskStore::path_of(const std::string& id) const {
  if (is_fresh(id)) return "fresh/" + id;
  if (sandbox::is_volume_id(id)) return "volumes/" + id;
  return (sandbox::is_snapshot_id(id) ? "snapshots/" : "disks/") + id;
}

Status DiskStore::claim(const std::string& id) {
  if (::renameat2(fresh_.get(), id.c_str(), claimed_place_of(id), id.c_str(), RENAME_NOREPLACE) < 0)
    return Error::from_errno(errno, "claim the disk");
  return {};
}

Status DiskStore::remove(const std::string& id) {
  if (SandboxId::parse(id)) (void)::unlinkat(disk_locks_.get(), id.c_str(), 0);
  if (::renameat(place_of(id), id.c_str(), trash_.get(), new_name().c_str()) < 0) {
    if (errno == ENOENT) return {};
    return Error::from_errno(errno, "remove the disk");
  }
  has_trash_ = true;
  return {};
}

void DiskStore::remove_fresh(const std::function<bool(const std::string& id)>& is_used) {
  const auto ids = ids_in(fresh_.get());
  if (!ids.ok()) return;  // the next start tries again
  for (const std::string& id : *ids)
    if (!is_used(id)) (void)remove(id);
}

Result<std::string> DiskStore::next(const std::string& after) {
  const std::size_t kind = after.starts_with(sandbox::kSnapshotPrefix) ? 1
                           : after.starts_with(sandbox::kVolumePrefix) ? 2
                                                                       : 0;
  std::vector<std::string>& listed = listed_[kind];
  if (!sandbox::is_disk_id(after)) {
    const std::array<int, 3> places = {disks_.get(), snapshots_.get(), volumes_.get()};
    LMSB_TRY(listed, ids_in(places[kind]));
    std::sort(listed.begin(), listed.end());
  }
  const auto found = std::upper_bound(listed.begin(), listed.end(), after);
  return found == listed.end() ? std::string() : *found;
}

std::string DiskStore::new_name() { return std::to_string(::getpid()) + "." + std::to_string(++names_); }

// Of a helper.
Status DiskStore::copy(const std::string& from, const std::string& to) const {
  LMSB_TRY(const UniqueFd source, open_disk(from));
  return btrfs::copy_subvolume(source.get(), fresh_.get(), to.c_str());
}

// Of a helper. What takes the place of another is made elsewhere first, and changes places with it.
Status DiskStore::replace(const std::string& from, const std::string& to, const std::string& name) const {
  LMSB_TRY(const UniqueFd source, open_disk(from));
  LMSB_CHECK(btrfs::copy_subvolume(source.get(), moving_.get(), name.c_str()));
  Status exchanged;
  if (::renameat2(moving_.get(), name.c_str(), claimed_place_of(to), to.c_str(), RENAME_EXCHANGE) < 0)
    exchanged = Error::from_errno(errno, "put the copy in its place");
  (void)::renameat(moving_.get(), name.c_str(), trash_.get(), name.c_str());  // else the next start
  return exchanged;
}

std::vector<int> DiskStore::directories() const {
  return {mount_.get(), fresh_.get(), disks_.get(), snapshots_.get(), volumes_.get(), moving_.get(), trash_.get()};
}

Result<GuestProcess> DiskStore::start_copy(const std::string& from, const std::string& to, Replace replacing) {
  LMSB_CHECK(check_room());
  const std::string name = new_name();
  LMSB_TRY(GuestProcess helper, fork_helper("lmsb-copy", directories()));
  if (helper.pid == 0) end_with(replacing == Replace::yes ? replace(from, to, name) : copy(from, to));
  return helper;
}

Result<GuestProcess> DiskStore::start_sync() {
  LMSB_TRY(GuestProcess helper, fork_helper("lmsb-sync", directories()));
  if (helper.pid == 0) end_with(btrfs::sync(disks_.get()));
  return helper;
}

bool DiskStore::sweep() {
  if (sweeper_.pidfd && !reap(sweeper_)) return false;
  if (!std::exchange(has_trash_, false)) return false;
  if (const auto names = names_in(trash_.get()); !names.ok() || names->empty()) return false;
  auto helper = fork_helper("lmsb-sweeper", directories());
  if (!helper.ok()) {
    has_trash_ = true;  // the next removal tries again
    return false;
  }
  sweeper_ = *std::move(helper);
  if (sweeper_.pid == 0) empty_trash(trash_.get());
  return true;
}

}  // namespace lmsb::launcher
