// What libraries would bring along to the guest, which is to stay below 1 MiB, and which it never needs.
#include <cstddef>
#include <string_view>  // declares what throws

#include "base/assert.h"

// NOLINTBEGIN: the names are others'.
// The C++ library's own answers to a bug throw: all that exceptions need would come with them. Here a bug ends the
// process, as everywhere.
namespace std {

void __glibcxx_assert_fail(const char* file, int line, const char* /*function*/, const char* condition) noexcept {
  lmsb::assertion_failed(condition, file, line);
}

void __throw_out_of_range_fmt(const char* format, ...) { lmsb::assertion_failed(format, "", 0); }

}  // namespace std

// Of objects that are destroyed where they stand: nothing here is made on a heap.
void operator delete(void* /*object*/) noexcept {}
void operator delete(void* /*object*/, std::size_t /*size*/) noexcept {}

// libzstd reads what its versions of 2015 and 2016 wrote, too: three decoders more, 90 KiB. In their
// place everything is an error (-1 is ZSTD_error_GENERIC).
static char no_decoder;

#define LMSB_NO_OLD_ZSTD(version)                                                                                  \
  std::size_t ZSTDv0##version##_decompress_usingDict() { return static_cast<std::size_t>(-1); }                    \
  std::size_t ZSTDv0##version##_getFrameParams() { return static_cast<std::size_t>(-1); }                          \
  void ZSTDv0##version##_findFrameSizeInfoLegacy(const void* /*frame*/, std::size_t /*size*/, std::size_t* packed, \
                                                 unsigned long long* bound) {                                      \
    *packed = static_cast<std::size_t>(-1);                                                                        \
    *bound = static_cast<unsigned long long>(-2); /* ZSTD_CONTENTSIZE_ERROR */                                     \
  }                                                                                                                \
  void* ZSTDv0##version##_createDCtx() { return nullptr; }                                                         \
  std::size_t ZSTDv0##version##_freeDCtx() { return 0; }                                                           \
  void* ZBUFFv0##version##_createDCtx() { return &no_decoder; }                                                    \
  std::size_t ZBUFFv0##version##_freeDCtx() { return 0; }                                                          \
  std::size_t ZBUFFv0##version##_decompressInitDictionary() { return static_cast<std::size_t>(-1); }               \
  std::size_t ZBUFFv0##version##_decompressContinue() { return static_cast<std::size_t>(-1); }

extern "C" {
LMSB_NO_OLD_ZSTD(5)
LMSB_NO_OLD_ZSTD(6)
LMSB_NO_OLD_ZSTD(7)
}
// NOLINTEND
