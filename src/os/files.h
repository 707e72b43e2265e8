#pragma once
// Small files of procfs, sysfs and cgroupfs, read whole and written in one write; and writing all of something.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lmsb::os {

// The text of a file, at most 1 MiB; empty when it cannot be read.
std::string read_text(const std::string& path);
std::string read_text_at(int directory, const char* name);

// The number behind `key` ("oom_kill ") at the beginning of a line of such a text, "" being the text's own beginning; 0
// when there is none.
std::uint64_t number_behind(std::string_view text, std::string_view key);

// Errors name the file and the text.
Status write_text(const std::string& path, std::string_view text);
Status write_text_at(int directory, const char* name, std::string_view text);

// All of `bytes` to `fd`, in as many writes as it takes. False with errno set when it fails. Blocks as write(2) does.
bool write_all(int fd, std::string_view bytes);

// Whether the extended attribute is there and begins with '1'.
bool has_attribute(const std::string& path, const char* name);

}  // namespace lmsb::os
