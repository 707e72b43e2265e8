#pragma once
// copy_content: octets from one descriptor to another. One thread; blocks as both do.
#include <cstdint>

namespace lmsb::guest {

// All that `from` has from where it stands, to where `to` stands; in the kernel where both are files that it copies so.
// Adds what has been copied to `bytes`. Returns 0 or an errno.
int copy_content(int from, int to, std::uint64_t& bytes);

}  // namespace lmsb::guest
