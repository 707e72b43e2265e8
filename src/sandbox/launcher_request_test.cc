#include "sandbox/launcher_request.h"

#include <gtest/gtest.h>

namespace lmsb::sandbox {
namespace {

std::uint32_t number_of_unknown(const LauncherRequest& request) {
  const auto* unknown = std::get_if<UnknownRequest>(&request);
  return unknown != nullptr ? unknown->request : ~0U;
}

TEST(LauncherRequest, IsWhatItsOperationAndItsSizeSay) {
  LaunchRequest launch{};
  launch.header = {LauncherOperation::launch, 7};
  launch.plan.memory_bytes = 12345;
  const auto parsed = parse_launcher_request(&launch, sizeof launch);
  ASSERT_TRUE(std::holds_alternative<LaunchRequest>(parsed));
  EXPECT_EQ(std::get<LaunchRequest>(parsed).plan.memory_bytes, 12345U);
  const DestroyRequest destroy{{LauncherOperation::destroy, 8}, 99};
  const auto other = parse_launcher_request(&destroy, sizeof destroy);
  ASSERT_TRUE(std::holds_alternative<DestroyRequest>(other));
  EXPECT_EQ(std::get<DestroyRequest>(other).serial, 99U);
}

TEST(LauncherRequest, OfAnotherSizeOrOperationIsRefusedByItsNumber) {
  const DestroyRequest destroy{{LauncherOperation::launch, 8}, 99};
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&destroy, sizeof destroy)), 8U);
  const DestroyRequest odd{{LauncherOperation{77}, 9}, 99};
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&odd, sizeof odd)), 9U);
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&odd, sizeof odd - 1)), 9U);
}

TEST(LauncherRequest, AboutOneSandboxOrDiskIsOneOfTwelve) {
  for (const auto operation :
       {LauncherOperation::remove_disk, LauncherOperation::next_disk, LauncherOperation::settle_disk,
        LauncherOperation::sync_disks, LauncherOperation::claim_disk, LauncherOperation::sweep_disks,
        LauncherOperation::weigh_disk, LauncherOperation::next_left, LauncherOperation::take_up,
        LauncherOperation::next_stray, LauncherOperation::open_network, LauncherOperation::check_store}) {
    const DiskRequest request{{operation, 5}};
    EXPECT_TRUE(std::holds_alternative<DiskRequest>(parse_launcher_request(&request, sizeof request)));
  }
  const DiskRequest other{{LauncherOperation{99}, 5}};
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&other, sizeof other)), 5U);
}

TEST(LauncherRequest, ACopyHasASizeOfItsOwn) {
  const CopyRequest copy{{LauncherOperation::copy_disk, 5}};
  EXPECT_TRUE(std::holds_alternative<CopyRequest>(parse_launcher_request(&copy, sizeof copy)));
  const DiskRequest other{{LauncherOperation::copy_disk, 5}};
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&other, sizeof other)), 5U);
}

TEST(LauncherRequest, OfAVolumeHasASizeOfItsOwn) {
  for (const LauncherOperation operation : {LauncherOperation::make_volume, LauncherOperation::limit_volume}) {
    const VolumeRequest volume{{operation, 5}};
    EXPECT_TRUE(std::holds_alternative<VolumeRequest>(parse_launcher_request(&volume, sizeof volume)));
    const DiskRequest other{{operation, 5}};
    EXPECT_EQ(number_of_unknown(parse_launcher_request(&other, sizeof other)), 5U);
  }
}

TEST(LauncherRequest, OfAnArchiveHasASizeOfItsOwn) {
  ArchiveRequest archive{{LauncherOperation::archive_disk, 5}};
  archive.disk_bytes = 77;
  const auto parsed = parse_launcher_request(&archive, sizeof archive);
  ASSERT_TRUE(std::holds_alternative<ArchiveRequest>(parsed));
  EXPECT_EQ(std::get<ArchiveRequest>(parsed).disk_bytes, 77U);
  EXPECT_EQ(number_of_unknown(parse_launcher_request(&archive, sizeof archive - 1)), 5U);
}

TEST(LauncherRequest, OfNoSizeHasNoNumber) {
  const DestroyRequest destroy{{LauncherOperation::destroy, 8}, 99};
  for (const ssize_t size : {ssize_t{-1}, ssize_t{0}, ssize_t{7}})
    EXPECT_EQ(number_of_unknown(parse_launcher_request(&destroy, size)), 0U);
}

TEST(Offer, IsOneDescriptorWithTheAgreedMark) {
  MountOffer offer;
  EXPECT_TRUE(is_offer(&offer, sizeof offer, 1));
  EXPECT_FALSE(is_offer(&offer, sizeof offer, 0));
  EXPECT_FALSE(is_offer(&offer, sizeof offer, 2));
  EXPECT_FALSE(is_offer(&offer, sizeof offer - 1, 1));
  EXPECT_FALSE(is_offer(&offer, -1, 1));
  offer.version = 2;
  EXPECT_FALSE(is_offer(&offer, sizeof offer, 1));
  offer = MountOffer();
  offer.magic = 1;
  EXPECT_FALSE(is_offer(&offer, sizeof offer, 1));
}

}  // namespace
}  // namespace lmsb::sandbox
