#pragma once
// What a system call met inside a sandbox, as an Error. A sandbox can bring about every errno there, with links in a
// circle, FIFOs, files where directories are meant, or by lying: none of them is `internal`, which is our bug. Pure.
#include <string_view>

#include "base/error.h"

namespace lmsb::guest_client {

// Like Error::from_errno(), of an errno that a guest reported: what has no category of its own is failed_precondition.
Error guest_error(int error, std::string_view what);

// Whether a directory tree that somebody else has made explains it: a link, a file, a directory where another is meant.
bool is_of_a_tree(int error);

}  // namespace lmsb::guest_client
