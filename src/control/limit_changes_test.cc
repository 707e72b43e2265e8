#include "control/limit_changes.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

constexpr sandbox::Limits kMade{Bytes::GiB(1), 1000, 256, Bytes::GiB(2)};

LimitChanges memory(Bytes bytes) {
  LimitChanges changes;
  changes.memory = bytes;
  return changes;
}

TEST(LimitChanges, LeaveAloneWhatTheyDoNotName) {
  const auto limits = changed(kMade, kMade, memory(Bytes::MiB(64)));
  ASSERT_TRUE(limits.ok());
  EXPECT_EQ(limits->memory, Bytes::MiB(64));
  EXPECT_EQ(limits->cpu_millis, 1000U);
  EXPECT_EQ(limits->processes, 256U);
  EXPECT_FALSE(LimitChanges().is_something());
  EXPECT_TRUE(memory(Bytes::MiB(64)).is_something());
}

TEST(LimitChanges, KeepToTheBoundsOfAnySandbox) {
  EXPECT_EQ(changed(kMade, kMade, memory(Bytes::MiB(1))).error().slug(), "limit_out_of_bounds");
}

TEST(LimitChanges, CannotChangeTheDisk) {
  LimitChanges changes;
  changes.disk = Bytes::GiB(3);
  EXPECT_EQ(changed(kMade, kMade, changes).error().slug(), "limit_fixed");
  changes.disk = kMade.disk;
  EXPECT_TRUE(changed(kMade, kMade, changes).ok());
}

TEST(LimitChanges, CannotChangeSharedMemory) {
  LimitChanges changes;
  changes.shm = Bytes::MiB(128);
  EXPECT_TRUE(changes.is_something());
  EXPECT_EQ(changed(kMade, kMade, changes).error().slug(), "limit_fixed");
  changes.shm = kMade.shm;
  EXPECT_TRUE(changed(kMade, kMade, changes).ok());
}

TEST(LimitChanges, KeepSharedMemoryOfANewOneWithinItsMemory) {
  LimitChanges changes;
  changes.shm = Bytes::GiB(1);
  EXPECT_EQ(asked(kMade, changes)->shm, Bytes::GiB(1));
  changes.memory = Bytes::MiB(512);
  EXPECT_EQ(asked(kMade, changes).error().slug(), "limit_out_of_bounds");
  EXPECT_TRUE(asked(kMade, memory(Bytes::MiB(16))).ok()) << "the usual one, which nobody asked for";
}

TEST(LimitChanges, LeaveNoLessMemoryThanSharedMemoryThatIsThere) {
  sandbox::Limits made = kMade;
  made.shm = Bytes::MiB(512);
  EXPECT_EQ(asked(made, memory(Bytes::MiB(256))).error().slug(), "limit_out_of_bounds") << "of a snapshot";
  EXPECT_EQ(changed(made, made, memory(Bytes::MiB(256))).error().slug(), "limit_out_of_bounds");
  EXPECT_TRUE(changed(made, made, memory(Bytes::MiB(512))).ok());
  EXPECT_TRUE(changed(kMade, kMade, memory(Bytes::MiB(16))).ok()) << "the usual one";
}

TEST(LimitChanges, RaiseProcessesNoHigherThanTheyWere) {
  LimitChanges changes;
  changes.processes = 10;
  const auto lowered = changed(kMade, kMade, changes);
  ASSERT_TRUE(lowered.ok());
  changes.processes = 256;
  EXPECT_EQ(changed(kMade, *lowered, changes)->processes, 256U);
  changes.processes = 257;
  EXPECT_EQ(changed(kMade, *lowered, changes).error().slug(), "limit_fixed");
}

TEST(LimitChanges, ThatTheKernelWouldNotKeepAreRefused) {
  Layers layers;
  LimitChanges memory, cpu, processes;
  memory.memory = Bytes::MiB(64);
  cpu.cpu_millis = 500;
  processes.processes = 10;
  for (const LimitChanges& asked : {LimitChanges(), memory, cpu, processes}) {
    EXPECT_TRUE(check_kept(asked, layers, Asked::of_new).ok());
    EXPECT_TRUE(check_kept(asked, layers, Asked::of_existing).ok());
  }
  layers.has_memory_limit = layers.has_cpu_limit = layers.has_process_limit = false;
  EXPECT_TRUE(check_kept({}, layers, Asked::of_new).ok());
  EXPECT_TRUE(check_kept({}, layers, Asked::of_existing).ok());
  EXPECT_TRUE(check_kept(processes, layers, Asked::of_new).ok());  // a resource limit keeps it
  for (const LimitChanges& asked : {memory, cpu}) {
    EXPECT_EQ(check_kept(asked, layers, Asked::of_new).error().slug(), "limit_not_kept");
    EXPECT_EQ(check_kept(asked, layers, Asked::of_existing).error().code(), ErrorCode::unsupported);
  }
  EXPECT_EQ(check_kept(processes, layers, Asked::of_existing).error().slug(), "limit_not_kept");
}

}  // namespace
}  // namespace lmsb::control
