#pragma once
// Sealed memory files: content that nobody can change any more, whoever holds the descriptor.
#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::os {

// A memfd with `content`, sealed against writing, growing, shrinking and further seals.
Result<UniqueFd> make_sealed_memfd(const char* name, std::string_view content);

// The same with the content of a file; for programs to be executed (CVE-2019-5736).
Result<UniqueFd> make_sealed_copy(const char* name, const std::string& path);

// Seals one as above. The kernel refuses it (EBUSY, fcntl(2)) while it holds a page of the file by itself, to move
// memory about, say: then it is tried again for at most `patience`.
Status seal_memfd(int file, std::chrono::milliseconds patience);

}  // namespace lmsb::os
