// Plays a daemon that has been taken over and holds the launcher's socket: whatever it sends, it gains nothing beyond
// sandboxes that look like every other.
#include <filesystem>
#include <map>
#include <poll.h>
#include <random>
#include <sys/sysinfo.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest_protocol/gate.h"
#include "launcher/power.h"
#include "support/launcher_process.h"

namespace lmsb {
namespace {

using sandbox::LauncherOperation;
using sandbox::LauncherStep;
using sandbox::LaunchRequest;

class HostileDaemon : public LauncherTest {
 protected:
  launcher::Policy changed_policy() const override {
    launcher::Policy policy;
    policy.caps = {Bytes::GiB(2).count(), 500, 64, Bytes::MiB(64).count()};
    sandbox::TableDevice usable{"example.org/card=0", "", {}, {}, {}, {}};
    usable.nodes.push_back(policy.devices.place_of(sandbox::TableNode{"card0", "/dev/fuse", false, 10, 229}));
    policy.devices.devices = {usable, {"example.org/card=1", "gone", {}, {}, {}, {}}};
    return policy;
  }
};

TEST_F(HostileDaemon, IsRefusedEveryPlanOutOfBounds) {
  const auto refused = [&](const auto& change) {
    sandbox::LaunchPlan plan = good_plan();
    change(plan);
    return ask(plan).failed_step == LauncherStep::validate;
  };
  EXPECT_TRUE(refused([](auto& p) { p.version = 0; }));
  EXPECT_TRUE(refused([](auto& p) { p.profile = static_cast<guest_protocol::Profile>(2); }));
  EXPECT_TRUE(refused([](auto& p) { p.profile = guest_protocol::Profile::root; })) << "nobody has allowed it";
  EXPECT_TRUE(refused([](auto& p) { p.memory_bytes = ~0ULL; }));
  EXPECT_TRUE(refused([](auto& p) { p.id.fill('/'); }));
  EXPECT_TRUE(refused([](auto& p) { std::strcpy(p.id.data(), "../../../cgroup/esca"); }));
  EXPECT_TRUE(refused([](auto& p) {
    p.root = guest_protocol::RootKind::mounted;
    std::strcpy(p.image.data(), "..");
  }));
  EXPECT_TRUE(refused([](auto& p) {
    p.mount_count = 1;
    std::strcpy(p.mounts[0].target.data(), "proc/self");
  }));
  for (const std::uint32_t place : {1U /* unusable */, 2U, 256U, ~0U})
    EXPECT_TRUE(refused([place](auto& p) {
      p.device_count = 1;
      p.devices[0] = place;
    })) << place;
  EXPECT_TRUE(refused([](auto& p) { p.device_count = 2; })) << "the same twice";
  EXPECT_TRUE(refused([](auto& p) { p.device_count = ~0U; }));
  EXPECT_EQ(ask(good_plan()).failed_step, LauncherStep::none) << "and still gets a good one";
}

TEST_F(HostileDaemon, GetsNoMoreThanThePolicyAllows) {
  sandbox::LaunchPlan plan = good_plan();
  plan.memory_bytes = Bytes::GiB(3).count();
  plan.cpu_millis = 2000;
  plan.processes = 4096;
  plan.disk_bytes = Bytes::GiB(20).count();
  plan.root_bytes = Bytes::MiB(1500).count();
  const LaunchRequest request{{LauncherOperation::launch, 1}, plan};
  send_raw(&request, sizeof request);
  ReceivedFds fds;
  ASSERT_EQ(receive(fds).failed_step, LauncherStep::none);
  guest_protocol::Ready ready{};
  ReceivedFds none;
  ASSERT_EQ(receive_message(fds.fds[0].get(), &ready, sizeof ready, none), static_cast<ssize_t>(sizeof ready));
  const std::string guest = std::to_string(
      std::stoi(os::read_text("/proc/" + std::to_string(child_) + "/task/" + std::to_string(child_) + "/children")));
  EXPECT_EQ(limit_of(guest, "memory", "memory.limit_in_bytes", "memory.max"), std::to_string(Bytes::GiB(2).count()));
  EXPECT_EQ(limit_of(guest, "cpu", "cpu.cfs_quota_us", "cpu.max").substr(0, 5), "50000");
  EXPECT_EQ(limit_of(guest, "pids", "pids.max", "pids.max"), "64");
  const std::string mounts = os::read_text("/proc/" + guest + "/mountinfo");
  EXPECT_THAT(mounts, testing::HasSubstr("size=65536k")) << "the writable layer";
}

class Limited : public HostileDaemon {
 protected:
  // Launches one that lives until the end of the test. Returns its serial.
  std::uint64_t launched(sandbox::Lifetime lifetime) {
    sandbox::LaunchPlan plan = good_plan();
    plan.lifetime = lifetime;
    plan.processes = 32;
    sandboxes_.push_back(launch(plan));
    return answer_.serial;
  }
  void send_limit(std::uint64_t serial, std::uint64_t memory, std::uint32_t cpu, std::uint32_t processes) {
    const sandbox::LimitRequest request{{LauncherOperation::limit, 2}, serial, memory, cpu, processes};
    send_raw(&request, sizeof request);
  }
  sandbox::LauncherAnswer limit(std::uint64_t serial, std::uint64_t memory, std::uint32_t cpu,
                                std::uint32_t processes) {
    send_limit(serial, memory, cpu, processes);
    ReceivedFds none;
    return receive(none);
  }
  std::string memory_of(const std::string& guest) {
    return limit_of(guest, "memory", "memory.limit_in_bytes", "memory.max");
  }
  std::vector<ReceivedFds> sandboxes_;
};

constexpr std::uint64_t kMemory = 64U << 20U;

TEST_F(Limited, KeptSandboxesGetOthersWithinThePolicyAlone) {
  const std::uint64_t kept = launched(sandbox::Lifetime::kept);
  const std::string guest = this->guest();
  const sandbox::LauncherAnswer cut = limit(kept, Bytes::GiB(30).count(), 64'000, 8);
  EXPECT_EQ(cut.failed_step, LauncherStep::none);
  EXPECT_EQ(cut.serial, Bytes::GiB(2).count()) << "it tells what is in force";
  EXPECT_EQ(memory_of(guest), std::to_string(Bytes::GiB(2).count()));
  EXPECT_EQ(limit_of(guest, "cpu", "cpu.cfs_quota_us", "cpu.max").substr(0, 5), "50000");
  EXPECT_EQ(limit_of(guest, "pids", "pids.max", "pids.max"), "8");
  EXPECT_EQ(limit(kept, kMemory, 100, 10'000).failed_step, LauncherStep::none);
  EXPECT_EQ(limit_of(guest, "pids", "pids.max", "pids.max"), "32") << "no more than it began with";
  EXPECT_EQ(memory_of(guest), std::to_string(kMemory));
}

TEST_F(Limited, WhatMakesNoSenseIsRefused) {
  const std::uint64_t kept = launched(sandbox::Lifetime::kept);
  EXPECT_EQ(limit(kept, kMemory, 100, 0).failed_step, LauncherStep::validate);
  EXPECT_EQ(limit(kept, kMemory, 0, 8).failed_step, LauncherStep::validate);
  EXPECT_EQ(limit(kept, 0, 100, 8).failed_step, LauncherStep::validate);
  EXPECT_EQ(limit(kept + 100, kMemory, 100, 8).failed_step, LauncherStep::not_found);
  EXPECT_EQ(limit(launched(sandbox::Lifetime::one_shot), kMemory, 100, 8).failed_step, LauncherStep::validate);
  EXPECT_EQ(limit(kept, kMemory, 100, 8).failed_step, LauncherStep::none);
}

TEST_F(Limited, OneChangeAtATimeAndNoneOutlivesItsSandbox) {
  const std::uint64_t kept = launched(sandbox::Lifetime::kept);
  constexpr int kChanges = 50;
  for (int i = 0; i < kChanges; ++i) send_limit(kept, kMemory + 4096U * static_cast<unsigned>(i), 100, 8);
  const sandbox::DestroyRequest destroy{{LauncherOperation::destroy, 3}, kept, 0, 0};
  send_raw(&destroy, sizeof destroy);
  int answers = 0;
  for (bool is_gone = false; !is_gone;) {
    ReceivedFds none;
    const auto answer = receive(none);
    is_gone = answer.request == 3;
    if (!is_gone) ++answers;
    const bool is_known = answer.error == 0 || answer.error == EAGAIN || answer.error == ENOENT;
    EXPECT_TRUE(is_known) << answer.error;
  }
  EXPECT_EQ(answers, kChanges);
  EXPECT_EQ(limit(kept, kMemory, 100, 8).failed_step, LauncherStep::not_found);
  const std::string launcher = std::to_string(child_);
  EXPECT_EQ(os::read_text("/proc/" + launcher + "/task/" + launcher + "/children").find(' '), std::string::npos);
}

TEST_F(HostileDaemon, CannotLaunchTwoSandboxesOfOneId) {
  const sandbox::LaunchPlan plan = good_plan();
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::none);
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::validate);
}

class WithAStore : public LauncherTest {
 protected:
  launcher::Policy changed_policy() const override {
    launcher::Policy policy;
    policy.caps = {Bytes::GiB(2).count(), 500, 64, Bytes::MiB(64).count()};
    policy.store_bytes = Bytes::GiB(4).count();
    policy.needs_store = true;
    return policy;
  }

  static sandbox::LaunchPlan plan_on(guest_protocol::Disk disk) {
    sandbox::SandboxSpec spec;
    spec.lifetime = sandbox::Lifetime::kept;
    spec.disk = disk;
    return *sandbox::plan(spec);
  }

  // The errno of the answer; 0 when it was done. `name` is sent octet by octet.
  int ask_disk(LauncherOperation operation, std::string_view name) {
    sandbox::DiskRequest request{{operation, 3}};
    std::copy_n(name.begin(), std::min(name.size(), request.id.size()), request.id.begin());
    send_raw(&request, sizeof request);
    ReceivedFds none;
    const auto answer = receive(none);
    EXPECT_EQ(answer.request, 3U);
    listed_ = answer.disk.data();
    return answer.error;
  }
  int ask_copy(std::string_view from, std::string_view to, std::uint32_t replaces = 0) {
    send_copy(4, from, to, replaces);
    ReceivedFds none;
    return receive(none).error;
  }
  void send_copy(std::uint32_t number, std::string_view from, std::string_view to, std::uint32_t replaces) {
    sandbox::CopyRequest request{{LauncherOperation::copy_disk, number}};
    std::copy_n(from.begin(), from.size(), request.from.begin());
    std::copy_n(to.begin(), to.size(), request.to.begin());
    request.replaces = replaces;
    send_raw(&request, sizeof request);
  }
  int ask_volume(LauncherOperation operation, std::string_view id, std::uint64_t bytes) {
    sandbox::VolumeRequest request{{operation, 6}};
    std::copy_n(id.begin(), std::min(id.size(), request.id.size()), request.id.begin());
    request.bytes = bytes;
    send_raw(&request, sizeof request);
    ReceivedFds none;
    return receive(none).error;
  }
  int destroy(std::uint64_t serial, std::uint32_t keeps_disk) {
    const sandbox::DestroyRequest request{{LauncherOperation::destroy, 5}, serial, keeps_disk, 0};
    send_raw(&request, sizeof request);
    ReceivedFds none;
    const auto answer = receive(none);
    EXPECT_EQ(answer.request, 5U);
    return answer.error;
  }

  // The errno of the answer, whose descriptors come in `fds`.
  int ask_archive(std::string_view job, std::string_view disk, guest_protocol::ArchiveWay way, std::uint64_t bytes,
                  ReceivedFds& fds) {
    sandbox::ArchiveRequest request{{LauncherOperation::archive_disk, 6}};
    std::copy_n(job.begin(), std::min(job.size(), request.job.size()), request.job.begin());
    std::copy_n(disk.begin(), std::min(disk.size(), request.disk.size()), request.disk.begin());
    request.way = way;
    request.disk_bytes = bytes;
    request.memory_bytes = archiver_memory_;
    send_raw(&request, sizeof request);
    answer_ = receive(fds);
    EXPECT_EQ(answer_.request, 6U);
    return answer_.error;
  }

  int ask_gate(std::string_view id, ReceivedFds& fds) {
    sandbox::GateRequest request{{LauncherOperation::open_gate, 7}};
    std::copy_n(id.begin(), std::min(id.size(), request.id.size()), request.id.begin());
    send_raw(&request, sizeof request);
    answer_ = receive(fds);
    EXPECT_EQ(answer_.request, 7U);
    return answer_.error;
  }

  std::string listed_;
  std::uint64_t archiver_memory_ = 64ULL << 20U;
};

TEST_F(WithAStore, OpensGatesThatAreNobodyAndHaveNothing) {
  ReceivedFds fds;
  for (const std::string_view id : {"", "../../../../etc/aaaaa", "snp_aaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAA",
                                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_EQ(ask_gate(id, fds), EINVAL) << id;
  ASSERT_EQ(ask_gate("aaaaaaaaaaaaaaaaaaaa", fds), 0);
  ASSERT_EQ(fds.count, 1U);
  const std::uint64_t serial = answer_.serial;
  EXPECT_GE(answer_.id_base, launcher::kFirstBase);
  ReceivedFds none;
  EXPECT_EQ(ask_gate("aaaaaaaaaaaaaaaaaaaa", none), EEXIST);
  EXPECT_EQ(none.count, 0U);
  const guest_protocol::GatePolicy without_sockets;
  const iovec part{const_cast<guest_protocol::GatePolicy*>(&without_sockets), sizeof without_sockets};
  ASSERT_TRUE(send_message(fds.fds[0].get(), &part, 1));
  char octet = 0;
  EXPECT_LE(receive_message(fds.fds[0].get(), &octet, 1, none), 0) << "it ends, having nothing to serve";
  EXPECT_EQ(destroy(serial, 0), 0);
}

constexpr std::array kOfDisks = {LauncherOperation::remove_disk, LauncherOperation::next_disk,
                                 LauncherOperation::settle_disk, LauncherOperation::claim_disk,
                                 LauncherOperation::next_left,   LauncherOperation::take_up,
                                 LauncherOperation::next_stray,  LauncherOperation::open_network};

TEST_F(WithAStore, NamesOnlyWhatIsAnId) {
  for (const LauncherOperation operation : kOfDisks)
    for (const std::string_view name :
         {std::string_view("../../../../etc/aaaaa"), std::string_view("aaaaaaaaaaaaaaaaaaa/"), std::string_view("."),
          std::string_view("snp_../../../../../../."), std::string_view("store"),
          std::string_view("AAAAAAAAAAAAAAAAAAAA"), std::string_view("aaaaaaaaaaaaaaaaaaaaa"),
          std::string_view("snp_aaaaaaaaaaaaaaaaaaaaa"), std::string_view("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")})
      EXPECT_EQ(ask_disk(operation, name), EINVAL) << name;
  EXPECT_EQ(ask_copy("../aaaaaaaaaaaaaaaaaa", "baaaaaaaaaaaaaaaaaaa"), EINVAL);
  EXPECT_EQ(ask_copy("aaaaaaaaaaaaaaaaaaaa", ""), EINVAL);
  EXPECT_EQ(ask_copy("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa", 1), EINVAL);
  EXPECT_EQ(ask_copy("aaaaaaaaaaaaaaaaaaaa", "baaaaaaaaaaaaaaaaaaa", 2), EINVAL);
  EXPECT_EQ(ask_copy("aaaaaaaaaaaaaaaaaaaa", "baaaaaaaaaaaaaaaaaaa"), ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, "aaaaaaaaaaaaaaaaaaaa"), ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::take_up, "aaaaaaaaaaaaaaaaaaaa"), ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::settle_disk, "aaaaaaaaaaaaaaaaaaaa"), ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::open_network, "aaaaaaaaaaaaaaaaaaaa"), ENOENT);
}

constexpr auto kIn = guest_protocol::ArchiveWay::in;
constexpr auto kOut = guest_protocol::ArchiveWay::out;
constexpr std::string_view kJob = "aaaaaaaaaaaaaaaaaaaa";
constexpr std::string_view kSnapshot = "snp_aaaaaaaaaaaaaaaaaaaa";
constexpr std::uint64_t kBytes = 16U << 20U;

TEST_F(WithAStore, ArchivesSnapshotsAloneAndWithinBounds) {
  ReceivedFds fds;
  for (const std::string_view job : {"", "../../../../etc/aaaaa", "snp_aaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAA",
                                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_EQ(ask_archive(job, kSnapshot, kIn, kBytes, fds), EINVAL) << job;
  for (const std::string_view disk : {"", "snp_", "baaaaaaaaaaaaaaaaaaa", "snp_../../../../../../.", "../store"})
    EXPECT_EQ(ask_archive(kJob, disk, kIn, kBytes, fds), EINVAL) << disk;
  EXPECT_EQ(ask_archive(kJob, kSnapshot, kIn, 0, fds), EINVAL);
  EXPECT_EQ(ask_archive(kJob, kSnapshot, kIn, ~std::uint64_t{0}, fds), EINVAL);
  EXPECT_EQ(ask_archive(kJob, kSnapshot, static_cast<guest_protocol::ArchiveWay>(2), kBytes, fds), EINVAL);
  EXPECT_EQ(ask_archive(kJob, kSnapshot, kOut, 0, fds), ENOENT) << "nothing is there to be read";
  for (const std::uint64_t memory : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    archiver_memory_ = memory;
    EXPECT_EQ(ask_archive(kJob, kSnapshot, kIn, kBytes, fds), EINVAL);
  }
  EXPECT_EQ(fds.count, 0U);
}

TEST_F(WithAStore, MakesASnapshotForOneArchiverAndRemovesWhatNobodyKeeps) {
  ReceivedFds fds;
  ASSERT_EQ(ask_archive(kJob, kSnapshot, kIn, kBytes, fds), 0);
  EXPECT_EQ(fds.count, sandbox::kArchiveFds);
  const std::uint64_t serial = answer_.serial;
  ReceivedFds none;
  EXPECT_EQ(ask_archive("baaaaaaaaaaaaaaaaaaa", kSnapshot, kIn, kBytes, none), EBUSY);
  EXPECT_EQ(ask_archive("baaaaaaaaaaaaaaaaaaa", kSnapshot, kOut, 0, none), EBUSY);
  EXPECT_EQ(ask_archive(kJob, "snp_baaaaaaaaaaaaaaaaaaa", kIn, kBytes, none), EBUSY) << "a job has one name";
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, kSnapshot), EBUSY);
  EXPECT_EQ(ask_disk(LauncherOperation::sweep_disks, ""), 0);
  fds.fds[1].reset();  // nothing comes: the archive is cut off
  guest_protocol::ArchiveReport report{};
  EXPECT_EQ(receive_message(fds.fds[0].get(), &report, sizeof report, none), static_cast<ssize_t>(sizeof report));
  EXPECT_EQ(report.error, EPIPE);
  EXPECT_EQ(destroy(serial, 0), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, kSnapshot), ENOENT) << "it has gone with its archiver";
  ASSERT_EQ(ask_archive(kJob, kSnapshot, kIn, kBytes, fds), 0);
  EXPECT_EQ(destroy(answer_.serial, 1), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, kSnapshot), 0) << "this one was kept";
  ASSERT_EQ(ask_archive(kJob, kSnapshot, kOut, 0, fds), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, kSnapshot), EBUSY) << "it is being read";
  EXPECT_EQ(destroy(answer_.serial, 0), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, kSnapshot), 0) << "reading it removed nothing";
}

TEST_F(WithAStore, HasFewArchiversAtATime) {
  std::array<ReceivedFds, sandbox::kMaxArchivers> held;
  std::vector<std::uint64_t> serials;
  for (std::size_t i = 0; i < held.size(); ++i) {
    std::string job(kJob);
    job.back() = static_cast<char>('a' + i);
    ASSERT_EQ(ask_archive(job, "snp_" + job, kIn, kBytes, held.at(i)), 0);
    serials.push_back(answer_.serial);
  }
  ReceivedFds none;
  EXPECT_EQ(ask_archive("baaaaaaaaaaaaaaaaaaa", "snp_baaaaaaaaaaaaaaaaaaa", kIn, kBytes, none), EAGAIN);
  for (const std::uint64_t serial : serials) EXPECT_EQ(destroy(serial, 0), 0);
}

TEST_F(WithAStore, NeverHasOneDiskInTwoSandboxesOrGivesAwayOneThatLives) {
  const sandbox::LaunchPlan plan = plan_on(guest_protocol::Disk::fresh);
  const ReceivedFds fds = launch(plan);
  EXPECT_EQ(answer_.has_disk, 1U);
  const std::uint64_t serial = answer_.serial;
  sandbox::LaunchPlan again = plan;
  again.disk = guest_protocol::Disk::existing;
  EXPECT_EQ(ask(again).error, EEXIST);
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, plan.id.data()), EBUSY);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, plan.id.data()), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::take_up, plan.id.data()), ENOENT);  // it is there, and not left over
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, plan.id.data()), EBUSY);
  EXPECT_EQ(ask_copy("snp_aaaaaaaaaaaaaaaaaaaa", plan.id.data(), 1), EBUSY);
  EXPECT_EQ(ask_disk(LauncherOperation::sweep_disks, ""), 0);
  EXPECT_EQ(destroy(serial, 2), EINVAL);
  EXPECT_EQ(destroy(serial, 1), 0);
  EXPECT_EQ(ask(plan).error, EEXIST);  // a fresh one over what is there
  EXPECT_EQ(ask_disk(LauncherOperation::next_disk, ""), 0);
  EXPECT_EQ(listed_, plan.id.data());
  const ReceivedFds second = launch(again);
  EXPECT_EQ(destroy(answer_.serial, 0), 0);
  EXPECT_EQ(ask(again).error, ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::next_disk, ""), 0);
  EXPECT_EQ(listed_, "");
}

TEST_F(WithAStore, KeepsWhatWasClaimedAndSweepsWhatWasNot) {
  const sandbox::LaunchPlan claimed = plan_on(guest_protocol::Disk::fresh);
  sandbox::LaunchPlan left = plan_on(guest_protocol::Disk::fresh);
  for (const sandbox::LaunchPlan* plan : {&claimed, &std::as_const(left)}) {
    const ReceivedFds fds = launch(*plan);
    const int error = plan == &claimed ? ask_disk(LauncherOperation::claim_disk, plan->id.data()) : 0;
    EXPECT_EQ(error, 0);
    EXPECT_EQ(destroy(answer_.serial, 1), 0);
  }
  EXPECT_EQ(ask_copy(claimed.id.data(), "snp_aaaaaaaaaaaaaaaaaaaa"), 0);
  EXPECT_EQ(ask_copy(claimed.id.data(), "snp_aaaaaaaaaaaaaaaaaaaa"), EEXIST);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, "snp_aaaaaaaaaaaaaaaaaaaa"), 0);
  EXPECT_EQ(ask_copy(claimed.id.data(), "snp_baaaaaaaaaaaaaaaaaaa"), 0);
  EXPECT_EQ(ask_disk(LauncherOperation::sweep_disks, ""), 0);
  left.disk = guest_protocol::Disk::existing;
  EXPECT_EQ(ask(left).error, ENOENT);
  EXPECT_EQ(ask_disk(LauncherOperation::next_disk, "snp_"), 0);
  EXPECT_EQ(listed_, "snp_aaaaaaaaaaaaaaaaaaaa");
  EXPECT_EQ(ask_disk(LauncherOperation::next_disk, "snp_aaaaaaaaaaaaaaaaaaaa"), 0);
  EXPECT_EQ(listed_, "");
  EXPECT_EQ(ask_copy("snp_aaaaaaaaaaaaaaaaaaaa", claimed.id.data(), 1), 0);
  sandbox::LaunchPlan existing = claimed;
  existing.disk = guest_protocol::Disk::existing;
  const ReceivedFds fds = launch(existing);
}

TEST_F(WithAStore, MakesVolumesThatAreNothingElse) {
  constexpr std::string_view kVolume = "vol_aaaaaaaaaaaaaaaaaaaa";
  for (const LauncherOperation operation : {LauncherOperation::make_volume, LauncherOperation::limit_volume}) {
    for (const std::string_view name :
         {std::string_view(""), std::string_view("vol_"), std::string_view("aaaaaaaaaaaaaaaaaaaa"),
          std::string_view("snp_aaaaaaaaaaaaaaaaaaaa"), std::string_view("vol_../../../../../../."),
          std::string_view("vol_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")})
      EXPECT_EQ(ask_volume(operation, name, kBytes), EINVAL) << name;
    EXPECT_EQ(ask_volume(operation, kVolume, 0), EINVAL);
  }
  EXPECT_EQ(ask_volume(LauncherOperation::limit_volume, kVolume, kBytes), ENOENT);
  sandbox::LaunchPlan plan = plan_on(guest_protocol::Disk::fresh);
  plan.mount_count = 1;
  kVolume.copy(plan.mounts[0].volume.data(), kVolume.size());
  std::strcpy(plan.mounts[0].target.data(), "data");
  EXPECT_EQ(ask(plan).error, ENODEV) << "there is none";
  EXPECT_EQ(ask_volume(LauncherOperation::make_volume, kVolume, kBytes), 0);
  EXPECT_EQ(ask_volume(LauncherOperation::make_volume, kVolume, kBytes), EEXIST);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, kVolume), 0);
  EXPECT_EQ(ask_volume(LauncherOperation::make_volume, kVolume, kBytes), EEXIST);
  EXPECT_EQ(ask_copy(kVolume, "snp_aaaaaaaaaaaaaaaaaaaa"), EINVAL);
  EXPECT_EQ(ask_copy("aaaaaaaaaaaaaaaaaaaa", kVolume), EINVAL);
  plan.id = plan_on(guest_protocol::Disk::fresh).id;
  const ReceivedFds fds = launch(plan);
  EXPECT_EQ(ask_disk(LauncherOperation::next_disk, "vol_"), 0);
  EXPECT_EQ(listed_, kVolume);
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, kVolume), 0);
}

TEST_F(WithAStore, MakesOneCopyOfAName) {
  const sandbox::LaunchPlan plan = plan_on(guest_protocol::Disk::fresh);
  const ReceivedFds fds = launch(plan);
  EXPECT_EQ(ask_disk(LauncherOperation::claim_disk, plan.id.data()), 0);
  // Both lie in the socket when it looks: the second is read before the end of the first can be.
  ASSERT_EQ(::kill(child_, SIGSTOP), 0);
  for (const std::uint32_t number : {11U, 12U}) send_copy(number, plan.id.data(), "snp_aaaaaaaaaaaaaaaaaaaa", 0);
  ASSERT_EQ(::kill(child_, SIGCONT), 0);
  std::map<std::uint32_t, int> errors;
  for (int i = 0; i < 2; ++i) {
    ReceivedFds none;
    const auto answer = receive(none);
    errors[answer.request] = answer.error;
  }
  EXPECT_EQ(errors, (std::map<std::uint32_t, int>{{11, 0}, {12, EBUSY}}));
  EXPECT_EQ(ask_disk(LauncherOperation::remove_disk, "snp_aaaaaaaaaaaaaaaaaaaa"), 0);  // held no longer
}

TEST_F(HostileDaemon, CannotMountADirectoryThatNobodyHandedOver) {
  sandbox::LaunchPlan plan = good_plan();
  plan.mount_count = 1;
  std::strcpy(plan.mounts[0].target.data(), "data");
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::mounts);
}

TEST_F(HostileDaemon, CannotLaunchAnImageThatIsNotStored) {
  sandbox::LaunchPlan plan = good_plan();
  plan.root = guest_protocol::RootKind::mounted;
  std::strcpy(plan.image.data(), "nothing");
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::mounts);
}

TEST_F(HostileDaemon, ConfusesNobodyWithGarbage) {
  std::mt19937 random(42);  // seeded: a failure comes again
  std::vector<char> bytes(sizeof(LaunchRequest) + 64);
  for (int round = 0; round < 300; ++round) {
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::size_t size = 1 + random() % bytes.size();
    if (round % 3 == 0 && size >= sizeof(sandbox::LauncherHeader)) {
      const sandbox::LauncherHeader header{LauncherOperation::launch, 7};
      std::memcpy(bytes.data(), &header, sizeof header);
    }
    send_raw(bytes.data(), size);
    pollfd wait{socket_.get(), POLLIN, 0};
    while (::poll(&wait, 1, 0) > 0) {
      ReceivedFds fds;
      EXPECT_NE(receive(fds).failed_step, LauncherStep::none);
    }
  }
  sandbox::DestroyRequest request{{LauncherOperation::destroy, 9}, 123456789, 0, 0};
  send_raw(&request, sizeof request);
  for (ReceivedFds fds; receive(fds).request != 9;) fds = ReceivedFds{};
}

TEST_F(HostileDaemon, HasDescriptorsThatItPushesInClosed) {
  const std::vector<int> fds = {0, 0, 0, 0};
  const std::string tasks = "/proc/" + std::to_string(child_) + "/fd";
  const LaunchRequest request{{LauncherOperation::launch, 1}, [] {
                                auto p = good_plan();
                                p.version = 9;
                                return p;
                              }()};
  const auto open_descriptors = [&] { return std::distance(std::filesystem::directory_iterator(tasks), {}); };
  ReceivedFds ignored;
  send_raw(&request, sizeof request);
  receive(ignored);
  const auto before = open_descriptors();
  const iovec part{const_cast<LaunchRequest*>(&request), sizeof request};
  for (int i = 0; i < 50; ++i) {
    if (send_message(socket_.get(), &part, 1, fds.data(), fds.size()))
      receive(ignored);
    else
      ASSERT_EQ(errno, EPERM) << "the kernel refuses them, from 6.16 on";
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(HostileDaemon, MeetsALauncherThatHasGivenUpWhatItDoesNotNeed) {
  EXPECT_EQ(ask(good_plan()).failed_step, LauncherStep::none);
  const std::string status = os::read_text("/proc/" + std::to_string(child_) + "/status");
  std::uint64_t kept = 0;
  for (const unsigned capability : launcher::kLauncherCapabilities) kept |= std::uint64_t{1} << capability;
  const auto field = [&status](const char* name) {
    return std::stoull(status.substr(status.find(name) + std::strlen(name)), nullptr, 16);
  };
  EXPECT_EQ(field("CapEff:") & ~kept, 0U);
  EXPECT_EQ(field("CapBnd:") & ~kept, 0U);
  EXPECT_EQ(field("Seccomp:"), 2U);
}

TEST_F(HostileDaemon, GetsASandboxWhoseGuestHasNoPowerOverTheMachine) {
  const ReceivedFds fds = launch(good_plan());
  EXPECT_GE(answer_.id_base, launcher::kFirstBase);
  // The guest is the launcher's only child; its ids are of the leased range, never root's.
  const std::string status = os::read_text("/proc/" + guest() + "/status");
  const std::string base = std::to_string(answer_.id_base);
  EXPECT_THAT(status, testing::HasSubstr("Uid:\t" + base + "\t" + base + "\t" + base + "\t" + base));
  EXPECT_THAT(status, testing::HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(status, testing::HasSubstr("CapEff:\t00000000000000e1"));
  EXPECT_THAT(status, testing::HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, testing::HasSubstr("Seccomp:\t2"));
}

}  // namespace
}  // namespace lmsb
