#include "sandbox/launcher_request.h"

#include <cstring>

namespace lmsb::sandbox {
namespace {

template <class Message>
bool read_as(Message& to, const void* message, ssize_t size) {
  if (size != static_cast<ssize_t>(sizeof to)) return false;
  std::memcpy(&to, message, sizeof to);
  return true;
}

// Those that are a DiskRequest.
bool is_of_a_disk(LauncherOperation operation) {
  switch (operation) {
    case LauncherOperation::remove_disk:
    case LauncherOperation::next_disk:
    case LauncherOperation::settle_disk:
    case LauncherOperation::sync_disks:
    case LauncherOperation::claim_disk:
    case LauncherOperation::sweep_disks:
    case LauncherOperation::weigh_disk:
    case LauncherOperation::next_left:
    case LauncherOperation::take_up:
    case LauncherOperation::next_stray:
    case LauncherOperation::check_store:
    case LauncherOperation::open_network: return true;
    default: return false;
  }
}

}  // namespace

LauncherRequest parse_launcher_request(const void* message, ssize_t size) {
  LauncherHeader header{};
  if (size < static_cast<ssize_t>(sizeof header)) return UnknownRequest{};
  std::memcpy(&header, message, sizeof header);
  if (LaunchRequest launch; header.operation == LauncherOperation::launch && read_as(launch, message, size))
    return launch;
  if (DestroyRequest destroy; header.operation == LauncherOperation::destroy && read_as(destroy, message, size))
    return destroy;
  if (LimitRequest limit; header.operation == LauncherOperation::limit && read_as(limit, message, size)) return limit;
  if (CopyRequest copy; header.operation == LauncherOperation::copy_disk && read_as(copy, message, size)) return copy;
  const bool is_of_volumes =
      header.operation == LauncherOperation::make_volume || header.operation == LauncherOperation::limit_volume;
  if (VolumeRequest volume; is_of_volumes && read_as(volume, message, size)) return volume;
  if (ArchiveRequest archive; header.operation == LauncherOperation::archive_disk && read_as(archive, message, size))
    return archive;
  if (GateRequest gate; header.operation == LauncherOperation::open_gate && read_as(gate, message, size)) return gate;
  if (DiskRequest disk; is_of_a_disk(header.operation) && read_as(disk, message, size)) return disk;
  return UnknownRequest{header.request};
}

bool is_offer(const void* message, ssize_t size, std::size_t descriptors) {
  MountOffer offer;
  return descriptors == 1 && read_as(offer, message, size) && offer.magic == kMountOfferMagic && offer.version == 1;
}

}  // namespace lmsb::sandbox
