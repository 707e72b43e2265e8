#include "guest/zstd_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

// Gives a few octets at a time.
struct Pieces final : os::ArchiveSource {
  explicit Pieces(std::string text) : all(std::move(text)) {}
  ssize_t read(void* data, std::size_t size) override {
    const std::size_t part = std::min({size, std::size_t{77}, all.size() - at});
    std::memcpy(data, all.data() + at, part);
    at += part;
    return static_cast<ssize_t>(part);
  }
  std::string all;
  std::size_t at = 0;
};

std::string packed(const std::string& text, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  EXPECT_EQ(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log)), 0U);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{text.data(), text.size(), 0};
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue), 0U);
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0U);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

// What comes out, or the errno that ends it.
struct Unpacked {
  std::string text;
  int error = 0;
};

Unpacked unpacked(const std::string& octets) {
  Pieces pieces(octets);
  ZstdSource source(pieces);
  Unpacked result;
  std::string piece(1000, '\0');
  for (;;) {
    const ssize_t n = source.read(piece.data(), piece.size());
    if (n < 0) result.error = errno;
    if (n <= 0) return result;
    result.text.append(piece, 0, static_cast<std::size_t>(n));
  }
}

std::string text_of(std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size());
  return text;
}

TEST(ZstdSource, GivesWhatWasPacked) {
  const std::string text = text_of(300'000);
  EXPECT_EQ(unpacked(packed(text)).text, text);
  EXPECT_EQ(unpacked(packed("1") + packed("2")).text, "12");  // one frame behind the other
}

TEST(ZstdSource, SaysThatAStreamIsCutOff) {
  const std::string whole = packed(text_of(300'000));
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 1})
    EXPECT_EQ(unpacked(whole.substr(0, size)).error, EPIPE) << size;
}

TEST(ZstdSource, RefusesWhatIsNoStream) {
  EXPECT_EQ(unpacked(text_of(5000)).error, EBADMSG);
  std::string damaged = packed(text_of(300'000));
  damaged[damaged.size() / 2] ^= 0x40;
  EXPECT_NE(unpacked(damaged).error, 0);
}

TEST(ZstdSource, RefusesFramesWithoutEnd) {
  const std::string nothing = std::string("\x50\x2a\x4d\x18\x00\x00\x10\x00", 8) + std::string(1U << 20U, 'x');
  EXPECT_EQ(unpacked("\x50\x2a\x4d\x18" + std::string("\4\0\0\0more", 8) + packed("1")).text, "1");
  EXPECT_EQ(unpacked(nothing + nothing + packed("1")).error, EBADMSG);
  const std::string one = packed("");
  std::string empty;
  while (empty.size() < 2U << 20U) empty += one;
  EXPECT_EQ(unpacked(packed("1") + empty).error, EBADMSG);
}

TEST(ZstdSource, RefusesToRememberMoreThan8MiB) {
  EXPECT_EQ(unpacked(packed("small", 23)).error, 0);
  EXPECT_EQ(unpacked(packed(text_of(30'000'000), 24)).error, EPROTONOSUPPORT);
}

}  // namespace
}  // namespace lmsb::guest
