#include "os/loop_device.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/loop.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "os/name_list.h"

namespace lmsb::os {
namespace {

constexpr int kTries = 16;  // somebody else may take the device that was free

// An error where there is none.
Result<LoopDevice> open_device(const std::string& path) {
  LoopDevice device;
  device.fd.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  device.path = path;
  if (!device.fd) return Error::from_errno(errno, "open " + path);
  return device;
}

Result<bool> has_file(const LoopDevice& device, const struct stat& file) {
  loop_info64 info{};
  if (::ioctl(device.fd.get(), LOOP_GET_STATUS64, &info) == 0)
    return info.lo_device == file.st_dev && info.lo_inode == file.st_ino;
  if (errno == ENXIO) return false;  // it has none
  return Error::from_errno(errno, "ask " + device.path + " for its file");
}

// One that we cannot have attached: it is gone by now, or never was ours to open.
bool is_nobodys(int error) {
  return error == ENOENT || error == ENXIO || error == ENODEV || error == EACCES || error == EPERM;
}

// Nothing: no device has it. Whoever could not look at all of them does not know, and fails: the file would get a
// second device, and what is on it would be written by two.
Result<LoopDevice> find_device(const struct stat& file) {
  const UniqueFd directory(::open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return Error::from_errno(errno, "open /sys/block");
  NameList names;
  if (const int error = names.load(directory.get()); error != 0) return Error::from_errno(error, "list /sys/block");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string name = names[i];
    if (!name.starts_with("loop")) continue;
    auto device = open_device("/dev/" + name);
    if (!device.ok() && is_nobodys(device.error().sys_errno())) continue;
    if (!device.ok()) return std::move(device).error();
    LMSB_TRY(device->had_it, has_file(*device, file));
    if (device->had_it) return device;
  }
  return LoopDevice();
}

Result<LoopDevice> free_device() {
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return Error::from_errno(errno, "open /dev/loop-control");
  const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return Error::from_errno(errno, "find a free loop device");
  return open_device("/dev/loop" + std::to_string(number));
}

// Past the page cache where the file's file system can: what is written is cached once.
bool configure(const LoopDevice& device, int file, std::uint32_t flags) {
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.block_size = 4096;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags;
  return ::ioctl(device.fd.get(), LOOP_CONFIGURE, &config) == 0;
}

}  // namespace

Result<LoopDevice> attach_loop_device(int file) {
  struct stat info {};
  if (::fstat(file, &info) < 0) return Error::from_errno(errno, "look at the file");
  LMSB_TRY(LoopDevice found, find_device(info));
  if (found.fd) return found;
  for (int tries = 0; tries < kTries; ++tries) {
    LMSB_TRY(LoopDevice device, free_device());
    if (configure(device, file, LO_FLAGS_DIRECT_IO) || (errno != EBUSY && configure(device, file, 0))) return device;
    if (errno != EBUSY) return Error::from_errno(errno, "attach the file to " + device.path);
  }
  return Error::from_errno(EBUSY, "attach the file to a loop device");
}

}  // namespace lmsb::os
