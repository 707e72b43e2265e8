#include "os/btrfs.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <endian.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/files.h"

namespace lmsb::os::btrfs {
namespace {

constexpr std::uint64_t kEnableSimpleQuota = 4;  // BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA, of newer headers

// Also true when such quotas are on already.
bool control_quota(int directory, std::uint64_t command) {
  btrfs_ioctl_quota_ctl_args args{};
  args.cmd = command;
  return ::ioctl(directory, BTRFS_IOC_QUOTA_CTL, &args) == 0 || errno == EEXIST;
}

Status request(int parent, unsigned long number, const char* name, const char* what, int from = 0) {
  btrfs_ioctl_vol_args_v2 args{};
  args.fd = from;
  const std::size_t size = std::strlen(name);
  if (size >= sizeof args.name) return Error::from_errno(ENAMETOOLONG, what);
  std::memcpy(args.name, name, size);
  if (::ioctl(parent, number, &args) < 0) return Error::from_errno(errno, std::string(what) + " " + name);
  return {};
}

std::string text_of(const unsigned char* uuid) {
  std::string text;
  for (int i = 0; i < BTRFS_UUID_SIZE; ++i) {
    std::array<char, 3> octet{};
    std::snprintf(octet.data(), octet.size(), "%02x", uuid[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += octet.data();
  }
  return text;
}

Result<std::uint64_t> id_of(int subvolume) {
  btrfs_ioctl_ino_lookup_args own{};
  own.objectid = BTRFS_FIRST_FREE_OBJECTID;  // its top directory: the answer is the subvolume's id
  if (::ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &own) < 0) return Error::from_errno(errno, "ask for the subvolume's id");
  return own.treeid;
}

}  // namespace

Status enable_quota(int directory) {
  if (control_quota(directory, kEnableSimpleQuota) || control_quota(directory, BTRFS_QUOTA_CTL_ENABLE)) return {};
  return Error::from_errno(errno, "turn on quotas");
}

Status make_subvolume(int parent, const char* name) {
  return request(parent, BTRFS_IOC_SUBVOL_CREATE_V2, name, "make the subvolume");
}

Status limit_subvolume(int subvolume, int beside, std::uint64_t bytes) {
  btrfs_ioctl_qgroup_limit_args args{};
  LMSB_TRY(args.qgroupid, id_of(subvolume));
  args.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
  args.lim.max_rfer = bytes;
  if (::ioctl(beside, BTRFS_IOC_QGROUP_LIMIT, &args) < 0) return Error::from_errno(errno, "limit the subvolume");
  return {};
}

Result<std::uint64_t> held_bytes(int subvolume) {
  LMSB_TRY(const std::uint64_t id, id_of(subvolume));
  btrfs_ioctl_search_args search{};
  search.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
  search.key.min_type = search.key.max_type = BTRFS_QGROUP_INFO_KEY;
  search.key.min_offset = search.key.max_offset = id;
  search.key.max_transid = ~0ULL;
  search.key.nr_items = 1;
  if (::ioctl(subvolume, BTRFS_IOC_TREE_SEARCH, &search) < 0) return Error::from_errno(errno, "ask what it holds");
  if (search.key.nr_items == 0) return 0;  // younger than the last commit
  btrfs_ioctl_search_header header{};
  std::memcpy(&header, search.buf, sizeof header);
  btrfs_qgroup_info_item item{};
  if (header.len < sizeof item) return Error::from_errno(EIO, "read what it holds");
  std::memcpy(&item, search.buf + sizeof header, sizeof item);
  return le64toh(item.rfer);
}

Status copy_subvolume(int from, int parent, const char* name) {
  return request(parent, BTRFS_IOC_SNAP_CREATE_V2, name, "copy the subvolume to", from);
}

Status sync(int directory) {
  if (::syncfs(directory) < 0) return Error::from_errno(errno, "sync the file system");
  return {};
}

Status destroy_subvolume(int parent, const char* name) {
  return request(parent, BTRFS_IOC_SNAP_DESTROY_V2, name, "remove the subvolume");
}

Result<bool> is_second_copy(int directory) {
  btrfs_ioctl_fs_info_args info{};
  if (::ioctl(directory, BTRFS_IOC_FS_INFO, &info) < 0) return Error::from_errno(errno, "ask for the file system's id");
  return read_text("/sys/fs/btrfs/" + text_of(info.fsid) + "/temp_fsid").starts_with('1');
}

}  // namespace lmsb::os::btrfs
