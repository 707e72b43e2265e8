#include "base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(Error, SaysTheOutermostStepFirst) {
  const Error error = Error::from_errno(EPERM, "mount overlay on /x").with_context("create sandbox s1");
  EXPECT_EQ(error.message(), "create sandbox s1: mount overlay on /x: Operation not permitted");
}

TEST(Error, KnowsItsInnermostCause) {
  EXPECT_EQ(Error(ErrorCode::internal, "one: step").cause(), "") << "no colon makes a cause";
  const Error deep = Error::from_errno(EPERM, "open a: b").with_context("read: it").with_context("start");
  EXPECT_EQ(deep.message(), "start: read: it: open a: b: Operation not permitted");
  EXPECT_EQ(deep.cause(), "Operation not permitted");
  EXPECT_EQ(Error(ErrorCode::internal, "it: ended").with_context("run").cause(), "it: ended");
  EXPECT_EQ(Error(deep).with_cause("x: y").cause(), "x: y");
  EXPECT_EQ(Error(deep).cause(), "Operation not permitted") << "a copy has it, too";
  Error moved = deep;
  EXPECT_EQ(Error(std::move(moved)).cause(), "Operation not permitted");
  EXPECT_EQ(moved.cause(), "") << "no throw from what has no message any more";  // NOLINT(bugprone-use-after-move)
}

TEST(Error, InAnotherCategoryHasItsWordsAndNoCodeOfItsOwn) {
  const Error error =
      Error(Error::from_errno(ENOENT, "open").with_slug("a").with_hint("b")).with_code(ErrorCode::unavailable);
  EXPECT_EQ(error.slug(), "unavailable");
  EXPECT_EQ(error.hint(), "b");
  EXPECT_EQ(error.cause(), "No such file or directory");
}

TEST(Error, KeepsTheErrnoAndItsCategory) {
  const Error error = Error::from_errno(ENOENT, "open /x");
  EXPECT_EQ(error.sys_errno(), ENOENT);
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_EQ(Error::from_errno(EPERM, "").code(), ErrorCode::permission_denied);
  EXPECT_EQ(Error::from_errno(ENOSPC, "").code(), ErrorCode::resource_exhausted);
  EXPECT_EQ(Error::from_errno(ENOSYS, "").code(), ErrorCode::unsupported);
  EXPECT_EQ(Error::from_errno(EBADF, "").code(), ErrorCode::internal) << "what has no category is a bug of ours";
}

TEST(Error, HasItsCategoryAsSlugUntilItIsGivenOne) {
  EXPECT_EQ(Error(ErrorCode::not_found, "no such thing").slug(), "not_found");
  const Error error =
      Error(ErrorCode::not_found, "no such thing").with_slug("sandbox_not_found").with_hint("list them: lm-sandbox ls");
  EXPECT_EQ(error.slug(), "sandbox_not_found");
  EXPECT_EQ(error.hint(), "list them: lm-sandbox ls");
}

TEST(ErrorCode, IsSpelledAsOnTheWire) {
  EXPECT_EQ(to_string(ErrorCode::invalid_argument), "invalid_argument");
  EXPECT_EQ(to_string(ErrorCode::deadline_exceeded), "deadline_exceeded");
  EXPECT_EQ(to_string(ErrorCode::internal), "internal") << "the last one: none is missing in between";
}

}  // namespace
}  // namespace lmsb
