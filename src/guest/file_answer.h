#pragma once
// Writing the answer of a file operation: records, collected to larger writes. What cannot be written any more has no
// reader left: the process then ends.
#include <cstdint>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>

#include "guest_protocol/file_records.h"

namespace lmsb::guest {

namespace answer {

// One file. `target` of a symbolic link.
void entry(std::string_view path, const struct stat& status, std::string_view target = {});
// The same, with the target read from `name` in `dir`.
void entry_at(int dir, const char* name, std::string_view path, const struct stat& status);
void data(const void* octets, std::size_t size);
// The same of what a file has at `offset`, at most `size` octets, not copied where the kernel can do without. How many
// they are, as read(2) says it.
ssize_t file_data(int file, std::uint64_t offset, std::size_t size);
void match(std::string_view path, std::uint64_t line, std::string_view text);
void changed(std::string_view path, std::uint64_t replacements);
void skipped(std::string_view path, int error);
std::uint64_t skipped_so_far();
// Whether whoever holds the answer whole will take no more of it: what has a bound ends as truncated then.
bool is_full();
void armed(std::uint32_t directories);
void event(guest_protocol::WatchKind kind, bool is_directory, std::string_view path);
// Sends what was collected.
void flush();

[[noreturn]] void done(std::uint64_t count, std::uint64_t bytes = 0);
// The end of what has a bound. `cursor`: where to go on, for what can.
enum class Extent : std::uint8_t { all, truncated };
[[noreturn]] void done_up_to(Extent extent, std::uint64_t count, std::string_view cursor = {});
[[noreturn]] void failed(std::string_view path, int error);

}  // namespace answer

// stdin as chunks. One at a time.
class ChunkInput {
 public:
  // At most `size` octets; 0 at the announced end; -1 with errno EPIPE when the stream was cut off.
  ssize_t read(void* data, std::size_t size);

 private:
  std::size_t left_ = 0;
  bool is_ended_ = false;
};

// Reads exactly `size` octets of stdin. False at its end.
bool read_input(void* data, std::size_t size);

}  // namespace lmsb::guest
