#include "guest_client/guest_error.h"

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

namespace lmsb::guest_client {
namespace {

TEST(GuestError, IsNeverOurBugWhateverTheSandboxSays) {
  for (int error = -1; error <= 256; ++error)
    EXPECT_NE(guest_error(error, "write file").code(), ErrorCode::internal) << error;
}

TEST(GuestError, KeepsTheCategoryThatAnErrnoHasAndSaysWhatItWas) {
  EXPECT_EQ(guest_error(ENOENT, "open").code(), ErrorCode::not_found);
  EXPECT_EQ(guest_error(EDQUOT, "write").code(), ErrorCode::resource_exhausted);
  const Error circle = guest_error(ELOOP, "open \"a\"");
  EXPECT_EQ(circle.code(), ErrorCode::failed_precondition);
  EXPECT_EQ(circle.message(), std::string("open \"a\": ") + std::strerror(ELOOP));
  EXPECT_EQ(circle.sys_errno(), ELOOP);
}

TEST(GuestError, KnowsWhatATreeOfSomebodyElseExplains) {
  EXPECT_TRUE(is_of_a_tree(ENOTDIR) && is_of_a_tree(EISDIR) && is_of_a_tree(ELOOP));
  EXPECT_FALSE(is_of_a_tree(EIO) || is_of_a_tree(EINVAL) || is_of_a_tree(ENODEV));
}

}  // namespace
}  // namespace lmsb::guest_client
