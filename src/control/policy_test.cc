#include "control/policy.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

TEST(Policy, CutsDownWhatIsAboveItButForTheDisk) {
  PolicyCaps caps;
  caps.memory = Bytes::MiB(100);
  caps.cpu_millis = 500;
  caps.processes = 10;
  caps.disk = Bytes::GiB(1);
  EXPECT_EQ(within(caps, {Bytes::GiB(1), 2000, 256, Bytes::GiB(8)}),
            (sandbox::Limits{Bytes::MiB(100), 500, 10, Bytes::GiB(8)}));
  const sandbox::Limits less{Bytes::MiB(64), 100, 9, Bytes::MiB(1)};
  EXPECT_EQ(within(caps, less), less);
}

}  // namespace
}  // namespace lmsb::control
