#include "fetch/download.h"

#include <cstdlib>
#include <dlfcn.h>
#include <sys/mman.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::fetch {
namespace {

Status download_to(int file, const std::string& url, const DownloadLimits& limits) {
  Wanted wanted;
  wanted.url = url;
  Received received;
  return download(
      wanted, file, limits, [](std::uint64_t, std::uint64_t) { return true; }, received);
}

Status download_offline(const std::string& url) {
  DownloadLimits limits;
  limits.reach = Reach::loopback;
  limits.connect_seconds = 5;
  const UniqueFd file(::memfd_create("download", MFD_CLOEXEC));
  return download_to(file.get(), url, limits);
}

TEST(DownloadOffline, RefusesEveryHostBeyondLoopbackBeforeItAsksAnybody) {
  for (const char* url :
       {"http://192.0.2.1/m.gguf", "https://models.example/m.gguf", "http://127.0.0.1@192.0.2.1/",
        "http://[2001:db8::1]/", "http://192.0.2.1\\@127.0.0.1/", "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/", "http://0.0.0.0/", "http://user:127.0.0.1@evil.example:80/?@127.0.0.1"}) {
    const Status refused = download_offline(url);
    ASSERT_FALSE(refused.ok()) << url;
    EXPECT_EQ(refused.error().slug(), "offline") << url << refused.error().message();
  }
}

TEST(DownloadOffline, StillReachesLoopback) {
  for (const char* url : {"http://127.0.0.1:9/m.gguf", "http://localhost:9/m.gguf", "http://[::1]:9/m.gguf"}) {
    const Status failed = download_offline(url);  // port 9: nobody serves there
    ASSERT_FALSE(failed.ok()) << url;
    EXPECT_EQ(failed.error().code(), ErrorCode::unavailable) << url << failed.error().message();
  }
}

// In a process of its own, which has no other libcurl yet.
[[noreturn]] void ask_an_old_curl() {
  if (::dlopen(LMSB_OLD_CURL, RTLD_NOW) == nullptr) std::_Exit(2);
  const UniqueFd file(::memfd_create("download", MFD_CLOEXEC));
  const Status done = download_to(file.get(), "http://127.0.0.1:9/m.gguf", DownloadLimits());
  std::_Exit(done.ok() || done.error().code() == ErrorCode::unavailable ? 0
             : done.error().code() == ErrorCode::unsupported            ? 3
                                                                        : 1);
}

// It would follow a redirect to anything that it speaks.
TEST(DownloadDeathTest, IsRefusedWhereLibcurlCannotBeKeptToHttp) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ask_an_old_curl(), testing::ExitedWithCode(3), "");
}

TEST(DownloadDeathTest, IsKeptToHttpByAnOlderLibcurlsOptions) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  ::setenv("OLD_CURL_KEEPS_PROTOCOLS", "1", 1);
  EXPECT_EXIT(ask_an_old_curl(), testing::ExitedWithCode(0), "");
  ::unsetenv("OLD_CURL_KEEPS_PROTOCOLS");
}

TEST(DownloadOffline, SaysWhatToDoAndNotTheQuery) {
  const Status refused = download_offline("http://models.example/m.gguf?token=secret");
  EXPECT_EQ(refused.error().message().find("secret"), std::string::npos);
  EXPECT_NE(refused.error().hint().find("--offline"), std::string::npos);
}

}  // namespace
}  // namespace lmsb::fetch
